//! What a secret holds of a database: its connection string and, below it, the address of an EMR on
//! another server and the certificates that the database's server is verified with.

use std::str::FromStr;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{EmrAddress, Error, Result};

/// Amazon's CA certificates for RDS and Aurora, each below a line that names its region.
///
/// They are public but in no common trust store. `infra/rds-roots` updates the file.
const RDS_ROOTS: &str = include_str!("rds-roots.pem");
const CERTIFICATE_END: &str = "-----END CERTIFICATE-----\n";

/// A connection parameter of this product only: names the pooler in front of the server.
const POOLER: &str = "pooler";

/// `postgres://…` or `sqlite://<path>` in the first line; `mariadb://…` in the next one, if the
/// practice's EMR is on a server of its own ([`EmrAddress`]); PEM certificates in those below, if
/// the server's certificate is signed by none that everybody trusts.
#[derive(Clone, Copy)]
pub struct ConnectionString<'a> {
    dsn: &'a str,
    emr: Option<&'a str>,
    roots: &'a str,
}

/// How to connect to a `PostgreSQL` server.
pub(crate) struct Server {
    pub(crate) options: PgConnectOptions,
    /// Whether a pooler may assign each transaction to a different server connection.
    pub(crate) is_pooled: bool,
}

impl<'a> ConnectionString<'a> {
    /// Parses the text of a secret.
    pub fn of(secret: &'a str) -> Self {
        let secret = secret.trim();
        let (dsn, roots) = secret.split_once('\n').unwrap_or((secret, ""));
        let (first, below) = roots.trim().split_once('\n').unwrap_or((roots.trim(), ""));
        let (emr, roots) =
            if first.starts_with(EmrAddress::SCHEME) { (Some(first.trim()), below) } else { (None, roots) };
        Self { dsn: dsn.trim(), emr, roots: roots.trim() }
    }

    /// The EMR's own server, if the secret names one.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn emr(&self) -> Result<Option<EmrAddress>> {
        self.emr.map(EmrAddress::of).transpose()
    }

    /// Returns the connection string without the certificates. Secret: it may hold a password.
    pub fn dsn(&self) -> &'a str {
        self.dsn
    }

    /// Whether it names an `SQLite` file.
    pub fn is_sqlite(&self) -> bool {
        self.dsn.starts_with("sqlite:")
    }

    /// Masks the connection string, or the start of it with the login, wherever a text repeats it.
    ///
    /// A password that occurs elsewhere is not masked: a short one is part of many words, and the
    /// gaps would reveal it.
    pub fn mask(&self, text: &str) -> String {
        if self.dsn.is_empty() {
            return text.to_owned();
        }
        let mut text = text.replace(self.dsn, "…");
        if let Some(emr) = self.emr {
            text = text.replace(emr, "…");
        }
        let login =
            self.dsn.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(login, _)| login);
        if let Some(login) = login {
            text = text.replace(&format!("//{login}@"), "//…@");
        }
        if let (_, Some(password)) = take_parameter(self.dsn, "password") {
            text = text.replace(&format!("password={password}"), "password=…");
        }
        text
    }

    /// Checks whether the string is valid, as far as possible without connecting.
    ///
    /// # Errors
    /// [`Error::ConnectionString`] with the reason.
    pub fn check(&self) -> Result<()> {
        if !self.is_sqlite() {
            self.emr()?;
            return self.server().map(|_| ());
        }
        if self.emr.is_some() {
            return Err(refused("a practice in a file has no EMR"));
        }
        if self.roots.is_empty() { Ok(()) } else { Err(refused("a file needs no certificate")) }
    }

    /// Returns the options for connecting to a `PostgreSQL` server.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn options(&self) -> Result<PgConnectOptions> {
        Ok(self.server()?.options)
    }

    pub(crate) fn server(&self) -> Result<Server> {
        let (dsn, pooler) = take_parameter(self.dsn, POOLER);
        if has_stray_at(&dsn) {
            return Err(refused(
                "it contains an @ in the wrong place; in a user name or password, write %2F for /, %3F for \
                    ?, %23 for # and %40 for @",
            ));
        }
        let options = PgConnectOptions::from_str(&dsn).map_err(|error| unreadable(&error))?;
        // By default, verify the server's certificate and host name.
        let options = if says(&dsn, &["sslmode", "ssl-mode"]) {
            options
        } else {
            options.ssl_mode(PgSslMode::VerifyFull)
        };
        refuse_weak_tls(&options)?;
        let is_pooled = match pooler {
            None => is_rds_proxy(options.get_host()),
            Some("transaction") => true,
            Some(_) => return Err(refused("the only value of the parameter pooler is transaction")),
        };
        // Poolers reject unknown startup parameters. Servers print floats exactly without this one.
        let mut options = options.extra_float_digits(None);
        if is_pooled {
            options = options.statement_cache_capacity(0);
        }
        let options = match self.checked_roots(&options)? {
            Some(roots) => options.ssl_root_cert_from_pem(roots.into_bytes()),
            None if says(&dsn, &["sslrootcert", "ssl-root-cert", "ssl-ca"]) => options,
            None => match roots_of_rds(options.get_host()) {
                Some(roots) => options.ssl_root_cert_from_pem(roots.into_bytes()),
                None => options,
            },
        };
        Ok(Server { options, is_pooled })
    }

    fn checked_roots(&self, options: &PgConnectOptions) -> Result<Option<String>> {
        if self.roots.is_empty() {
            return Ok(None);
        }
        if !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa) {
            return Err(refused("certificates require sslmode verify-full or verify-ca"));
        }
        let unusable = || refused("the text below the connection string is not a certificate in PEM format");
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.roots.as_bytes()) {
            store.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
        }
        if store.is_empty() { Err(unusable()) } else { Ok(Some(self.roots.to_owned())) }
    }
}

fn refused(reason: &str) -> Error {
    Error::ConnectionString(reason.to_owned())
}

/// Explains why the options cannot be parsed.
///
/// The causes quote at most a parameter's value from the string.
pub(super) fn unreadable(error: &sqlx::Error) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    refused(&format!("it cannot be parsed: {}", cause.unwrap_or_else(|| error.to_string())))
}

/// Whether an unencoded `/`, `?` or `#` in the user name or password splits the string.
///
/// Part of the password would be taken for the host name, and be shown in error messages.
fn has_stray_at(dsn: &str) -> bool {
    let Some((_, rest)) = dsn.split_once("://") else { return false };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (query, fragment) = query.split_once('#').unwrap_or((query, ""));
    let is_stray = |pair: &str| pair.contains('@') && (!authority.contains('@') || !pair.contains('='));
    path.contains('@') || fragment.contains('@') || query.split('&').any(is_stray)
}

/// Rejects connections without enforced encryption, except to a database on this machine.
fn refuse_weak_tls(options: &PgConnectOptions) -> Result<()> {
    let weak = matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    if weak && options.get_socket().is_none() && !is_this_machine(options.get_host()) {
        return Err(refused(
            "its sslmode allows patient data to travel unencrypted; use verify-full, verify-ca or require",
        ));
    }
    Ok(())
}

/// Whether connections to the host never leave the machine, as with a local stack's database.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || host.starts_with('/') || address.is_ok_and(|it| it.to_canonical().is_loopback())
}

/// Whether the query of the DSN has one of these parameters.
///
/// A password that looks like one does not count.
fn says(dsn: &str, names: &[&str]) -> bool {
    url::Url::parse(dsn).is_ok_and(|url| url.query_pairs().any(|(name, _)| names.contains(&&*name)))
}

/// Splits a parameter off the DSN; returns the rest and the parameter's value.
fn take_parameter<'a>(dsn: &'a str, name: &str) -> (String, Option<&'a str>) {
    let Some((address, query)) = dsn.split_once('?') else { return (dsn.to_owned(), None) };
    let value_of = |pair: &'a str| pair.split_once('=').filter(|(it, _)| *it == name).map(|(_, value)| value);
    let value = query.split('&').find_map(value_of);
    let rest: Vec<&str> = query.split('&').filter(|pair| value_of(pair).is_none()).collect();
    (format!("{address}?{}", rest.join("&")), value)
}

/// Returns the DNS labels of an RDS host. RDS hosts in China have another suffix.
fn rds_labels(host: &str) -> Option<Vec<String>> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<String> = host.split('.').map(str::to_owned).collect();
    let is_rds = host.ends_with(".rds.amazonaws.com")
        || host.ends_with(".amazonaws.com.cn") && labels.iter().any(|label| label == "rds");
    is_rds.then_some(labels)
}

/// Returns the CA certificates for an RDS host: its region's, or all if the region is unknown.
fn roots_of_rds(host: &str) -> Option<String> {
    let labels = rds_labels(host)?;
    let is_of_region = |certificate: &&str| {
        labels.iter().any(|label| certificate.starts_with(&format!("# Amazon RDS {label} ")))
    };
    let of_region: String = RDS_ROOTS.split_inclusive(CERTIFICATE_END).filter(is_of_region).collect();
    Some(if of_region.is_empty() { RDS_ROOTS.to_owned() } else { of_region })
}

/// Whether the host is an RDS Proxy: `name.proxy-….region.rds.amazonaws.com`.
fn is_rds_proxy(host: &str) -> bool {
    rds_labels(host).is_some_and(|labels| labels.iter().any(|label| label.starts_with("proxy-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(secret: &str) -> Result<Server> {
        ConnectionString::of(secret).server()
    }

    #[test]
    fn a_connection_to_a_remote_server_is_encrypted() {
        let allowed = |dsn: &str| server(dsn).is_ok();
        for mode in ["disable", "allow", "prefer"] {
            assert!(!allowed(&format!("postgres://a:b@db.example/c?sslmode={mode}")), "{mode}");
            assert!(!allowed(&format!("postgres://a:b@10.0.0.5/c?sslmode={mode}")), "{mode}");
            assert!(allowed(&format!("postgres://a:b@127.0.0.1/c?sslmode={mode}")), "{mode}");
            assert!(allowed(&format!("postgres://a:b@[::1]/c?sslmode={mode}")), "{mode}");
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            assert!(allowed(&format!("postgres://a:b@db.example/c?sslmode={mode}")), "{mode}");
        }
    }

    #[test]
    fn only_the_query_string_chooses_the_sslmode() {
        let mode = |dsn: &str| format!("{:?}", server(dsn).unwrap().options.get_ssl_mode());
        for chosen in ["postgres://a:b@c/d?sslmode=require", "postgres://a:b@c/d?x=1&ssl-mode=require"] {
            assert_eq!(mode(chosen), "Require", "{chosen}");
        }
        for silent in [
            "postgres://a:sslmode=disable@c/d",
            "postgres://a:b@c/sslmode=disable",
            "postgres://a:b@c/d?application_name=sslmode=disable",
            "postgres://a:b@c/d#sslmode=disable",
        ] {
            assert_eq!(mode(silent), "VerifyFull", "{silent}");
        }
    }

    #[test]
    fn an_invalid_string_is_rejected_with_the_reason_but_no_password() {
        for (dsn, reason) in [
            ("postgres://role:hunter22@db.example:port/c", "invalid port number"),
            ("postgres://role:hunter22@db.example:70000/c", "invalid port number"),
            ("postgres://role:hunter22@[::1/c", "invalid IPv6 address"),
            ("postgres://role:hunter22@db.example/c?sslmode=full", "\"full\""),
            ("postgres://role:hun/ter22@db.example/c", "%2F for /"),
            ("postgres://role:22/hunter@db.example/c", "%2F for /"),
            ("postgres://role:22?hunter@db.example/c", "%3F for ?"),
            ("postgres://role:22#hunter@db.example/c", "%23 for #"),
            ("postgres://role:22#hun?ter@db.example/c", "%23 for #"),
            ("postgres://role:22@hun/ter@db.example/c", "%40 for @"),
            ("postgres://role:22@hun?ter@db.example/c", "%40 for @"),
            ("postgres://role:hunter22@db.example/c?pooler=session", "the only value"),
            ("postgres://role:hunter22@db.example/c?sslmode=prefer", "unencrypted"),
        ] {
            let said = ConnectionString::of(dsn).check().unwrap_err().to_string();
            assert!(
                said.starts_with("the connection string is not valid: ") && said.contains(reason),
                "{said}"
            );
            assert!(!said.contains("hun") && !said.contains("registry"), "{said}");
        }
        for good in
            ["role:a%2Fb%3Fc%23d%40e@db.example/c", "role:a@b@db.example/c", "role@db.example/c?user=a@b"]
        {
            ConnectionString::of(&format!("postgres://{good}")).check().unwrap();
        }
    }

    #[test]
    fn a_password_is_masked_only_inside_a_repeated_string() {
        let dsn = "postgres://role:b@db.example/practice?sslmode=require";
        let secret = format!("{dsn}\ncertificates");
        let mask = |text: &str| ConnectionString::of(&secret).mask(text);
        for text in ["the practice database is unavailable: db.example:5432: no answer", "b", ""] {
            assert_eq!(mask(text), text);
        }
        assert_eq!(mask(&format!("can't use {dsn}!")), "can't use …!");
        assert_eq!(mask("at postgres://role:b@db.example"), "at postgres://…@db.example");
        let mask = |dsn: &str, text: &str| ConnectionString::of(dsn).mask(text);
        let cut = "postgres://role:hun/ter@db.example/c";
        assert_eq!(mask(cut, "//role:hun/ter@db.example"), "//…@db.example");
        let parameter = "postgres://role@db.example/c?password=b&x=1";
        assert_eq!(mask(parameter, "unable: password=b&x=1"), "unable: password=…&x=1");
        assert_eq!(mask("", "unable"), "unable");
    }

    #[test]
    fn every_rds_root_certificate_can_be_used() {
        let certificates: Vec<&str> = RDS_ROOTS.split_inclusive(CERTIFICATE_END).collect();
        assert!(certificates.len() >= 96, "three for each region: {}", certificates.len());
        let mut store = RootCertStore::empty();
        for text in certificates {
            let name = text.lines().next().unwrap();
            assert!(name.starts_with("# Amazon RDS ") && name.contains(" Root CA "), "{name}");
            store.add(CertificateDer::from_pem_slice(text.as_bytes()).unwrap()).unwrap();
        }
    }

    #[test]
    fn an_rds_host_is_verified_with_the_roots_of_its_region() {
        let ohio = roots_of_rds("practice.cluster-abc.us-east-2.rds.amazonaws.com").unwrap();
        assert_eq!(ohio.matches("# Amazon RDS us-east-2 Root CA ").count(), 3);
        assert_eq!(ohio.matches("BEGIN CERTIFICATE").count(), 3);
        for unknown in [
            "a.b.us-gov-west-1.rds.amazonaws.com",
            "a.b.rds.cn-north-1.amazonaws.com.cn",
            "a.rds.amazonaws.com.cn",
        ] {
            assert_eq!(roots_of_rds(unknown).as_deref(), Some(RDS_ROOTS), "{unknown}");
        }
        assert!(roots_of_rds("A.B.US-EAST-2.RDS.AMAZONAWS.COM.").is_some());
        for other in
            ["db.example", "rds.amazonaws.com.example", "evilrds.amazonaws.com", "rds.example.com.cn"]
        {
            assert_eq!(roots_of_rds(other), None, "{other}");
        }
    }

    #[test]
    fn certificates_follow_the_connection_string() {
        let root = RDS_ROOTS.split_inclusive(CERTIFICATE_END).next().unwrap();
        let secret = format!("postgres://a:b@db.example/c\r\n{root}");
        assert_eq!(ConnectionString::of(&secret).dsn(), "postgres://a:b@db.example/c");
        server(&secret).unwrap();
        let refusal = |secret: &str| ConnectionString::of(secret).check().unwrap_err().to_string();
        let unchecked = format!("postgres://a:b@db.example/c?sslmode=require\n{root}");
        assert!(refusal(&unchecked).contains("certificates require sslmode"));
        for garbage in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
            assert!(
                refusal(&format!("postgres://a:b@db.example/c\n{garbage}")).contains("not a certificate")
            );
        }
        assert!(refusal(&format!("sqlite:///a\n{root}")).contains("needs no certificate"));
    }

    #[test]
    fn a_pooler_is_named_in_the_string_or_is_an_rds_proxy() {
        let is_pooled = |dsn: &str| server(dsn).map(|it| it.is_pooled);
        assert!(is_pooled("postgres://a:b@db.example/c?pooler=transaction&sslmode=require").unwrap());
        assert!(is_pooled("postgres://a:b@p.proxy-abc.us-east-1.rds.amazonaws.com/c").unwrap());
        assert!(!is_pooled("postgres://a:b@p.cluster-abc.us-east-1.rds.amazonaws.com/c").unwrap());
        assert!(is_pooled("postgres://a:b@db.example/c?pooler=session").is_err());
        let (rest, value) = take_parameter("postgres://a:b@c/d?x=1&pooler=transaction&y=2", POOLER);
        assert_eq!((rest.as_str(), value), ("postgres://a:b@c/d?x=1&y=2", Some("transaction")));
    }
}
