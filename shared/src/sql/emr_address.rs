//! The address of a practice's EMR server, as stored in the practice's secret.

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Error, Result};

/// `mariadb://user:password@host:port/database?ssl-ca=/path`. Secret.
///
/// PostgreSQL's server connects to it, so the path is on that machine.
#[derive(Clone)]
pub struct EmrAddress {
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// The authority that signed the server's certificate; `None` for any in [`Self::AUTHORITIES`].
    pub(crate) authority: Option<String>,
}

impl EmrAddress {
    pub(crate) const SCHEME: &str = "mariadb://";
    /// The directory of public certificate authorities on Debian and Amazon Linux.
    pub(crate) const AUTHORITIES: &str = "/etc/ssl/certs";
    const PORT: u16 = 3306;

    /// Parses the address.
    ///
    /// # Errors
    /// [`Error::ConnectionString`], without any part of the text.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let refused = |reason: &str| Error::ConnectionString(format!("in the EMR's address {reason}"));
        let url = Url::parse(text).map_err(|error| refused(&format!("a part is malformed: {error}")))?;
        let decoded = |part: &str| {
            let text = percent_decode_str(part).decode_utf8().map_err(|_| refused("a part is not UTF-8"))?;
            if text.contains('\0') {
                Err(refused("a part contains a null character"))
            } else {
                Ok(text.into_owned())
            }
        };
        let mut authority = None;
        for (name, value) in url.query_pairs() {
            match &*name {
                "ssl-ca" if value.starts_with('/') => authority = Some(value.into_owned()),
                _ => {
                    return Err(refused(
                        "the only parameter must be ssl-ca, with the path of a file on PostgreSQL's server",
                    ));
                }
            }
        }
        let (host, database) = (url.host_str().unwrap_or_default(), url.path().trim_start_matches('/'));
        if host.is_empty() || database.is_empty() || url.username().is_empty() || url.fragment().is_some() {
            return Err(refused(
                "there must be a user, a host and a database: mariadb://user:password@host/database",
            ));
        }
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(Self::PORT).into(),
            database: decoded(database)?,
            user: decoded(url.username())?,
            password: decoded(url.password().unwrap_or_default())?,
            authority,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ConnectionString;

    #[test]
    fn the_emr_address_follows_the_connection_string_and_is_masked() {
        let line = "mariadb://papi:p%40ss%2Fword@emr.example:3307/openemr?ssl-ca=/etc/ssl/emr.pem";
        let secret = format!("postgres://a:b@db.example/c\n{line}\n");
        let string = ConnectionString::of(&secret);
        string.check().unwrap();
        assert_eq!(string.dsn(), "postgres://a:b@db.example/c");
        assert_eq!(string.mask(&format!("at {line}")), "at …");
        let emr = string.emr().unwrap().unwrap();
        assert_eq!((emr.host.as_str(), emr.port, emr.database.as_str()), ("emr.example", 3307, "openemr"));
        assert_eq!((emr.user.as_str(), emr.password.as_str()), ("papi", "p@ss/word"));
        assert_eq!(emr.authority.as_deref(), Some("/etc/ssl/emr.pem"));
        let plain = EmrAddress::of("mariadb://papi@10.0.0.5/o").unwrap();
        assert_eq!((plain.port, plain.authority), (3306, None));
        assert!(ConnectionString::of("postgres://a:b@db.example/c").emr().unwrap().is_none());
        ConnectionString::of(&format!("sqlite:///a\n{line}")).check().unwrap_err();
    }

    #[test]
    fn an_error_does_not_show_the_password() {
        for wrong in [
            "mariadb://papi:hunter22@:33/o",
            "mariadb://papi:hunter22@emr.example:port/o",
            "mariadb://papi:hunter22@emr.example",
            "mariadb://:hunter22@emr.example/o",
            "mariadb://papi:hun/ter22@emr.example/o",
            "mariadb://papi:hunter22@emr.example/o?ssl-mode=disabled",
            "mariadb://papi:hunter22@emr.example/o?ssl-ca=relative",
            "mariadb://papi:hunter22%00@emr.example/o",
        ] {
            let secret = format!("postgres://a:b@db.example/c\n{wrong}");
            let said = ConnectionString::of(&secret).check().unwrap_err().to_string();
            assert!(said.contains("EMR's address") && !said.contains("hun"), "{wrong}: {said}");
        }
    }
}
