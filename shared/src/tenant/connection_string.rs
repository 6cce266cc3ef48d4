//! What a secret holds of a database: its connection string and, below it, the address of an EMR on another server and the certificates that
//! the database's server is verified with.

use std::str::FromStr;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{EmrAddress, Error, Result};

/// Amazon's certificates for RDS and Aurora, each below a line that names its region. They are public and in no list of roots that
/// programs come with; `infra/rds-roots` renews the file.
const RDS_ROOTS: &str = include_str!("rds-roots.pem");
const CERTIFICATE_END: &str = "-----END CERTIFICATE-----\n";

/// The parameter of a connection string that names what stands between the program and the server. It is ours alone.
const POOLER: &str = "pooler";

/// `postgres://…` or `sqlite://<path>` in the first line; `mariadb://…` in the next one, if the practice's EMR is on a server of its own
/// ([`EmrAddress`]); PEM certificates in those below, if the server's certificate is signed by none that everybody trusts.
#[derive(Clone, Copy)]
pub struct ConnectionString<'a> {
    dsn: &'a str,
    emr: Option<&'a str>,
    roots: &'a str,
}

/// How a `PostgreSQL` server is connected to.
pub(crate) struct Server {
    pub(crate) options: PgConnectOptions,
    /// A pooler gives each transaction another connection of the server.
    pub(crate) is_pooled: bool,
}

impl<'a> ConnectionString<'a> {
    /// Of a secret's text.
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

    /// Without the certificates. Secret: it may hold a password.
    pub fn dsn(&self) -> &'a str {
        self.dsn
    }

    /// Whether it names an `SQLite` file.
    pub fn is_sqlite(&self) -> bool {
        self.dsn.starts_with("sqlite:")
    }

    /// A text without what the connection string keeps secret, wherever the text repeats the string or its beginning. A password that
    /// stands elsewhere is not looked for: a short one is part of many words, and who sees which are missing knows it.
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

    /// Whether it can be right, as far as that is known without connecting.
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

    /// Options of a connection to a `PostgreSQL` server.
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
                "an @ stands where none can; in a user name or password write %2F for /, %3F for ?, %23 for # and %40 for @",
            ));
        }
        let options = PgConnectOptions::from_str(&dsn).map_err(|error| unreadable(&error))?;
        // Without a word in the string the server's certificate and name are verified.
        let options = if says(&dsn, &["sslmode", "ssl-mode"]) {
            options
        } else {
            options.ssl_mode(PgSslMode::VerifyFull)
        };
        refuse_weak_tls(&options)?;
        let is_pooled = match pooler {
            None => is_rds_proxy(options.get_host()),
            Some("transaction") => true,
            Some(_) => return Err(refused("its pooler can only be transaction")),
        };
        // Poolers refuse what they don't know when a connection begins, and servers print floats exactly without it.
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
            return Err(refused("a certificate is used with sslmode verify-full or verify-ca only"));
        }
        let unusable = || refused("below the connection string there is no certificate in PEM form");
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

/// Why the options can't be read. The causes name no part of the string but the value of a parameter.
pub(super) fn unreadable(error: &sqlx::Error) -> Error {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    refused(&format!("it can't be read: {}", cause.unwrap_or_else(|| error.to_string())))
}

/// Whether the string was cut into its parts in the middle of a user name or password: by a `/`, `?` or `#` that isn't encoded. A part
/// of the password would be taken for the host, and named as such.
fn has_stray_at(dsn: &str) -> bool {
    let Some((_, rest)) = dsn.split_once("://") else { return false };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (query, fragment) = query.split_once('#').unwrap_or((query, ""));
    let is_stray = |pair: &str| pair.contains('@') && (!authority.contains('@') || !pair.contains('='));
    path.contains('@') || fragment.contains('@') || query.split('&').any(is_stray)
}

/// Only the local stack may speak to its database without encryption that is enforced.
fn refuse_weak_tls(options: &PgConnectOptions) -> Result<()> {
    let weak = matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    if weak && options.get_socket().is_none() && !is_this_machine(options.get_host()) {
        return Err(refused(
            "its sslmode lets patient data travel unencrypted: use verify-full, verify-ca or require",
        ));
    }
    Ok(())
}

/// Whether a connection to the host never leaves the machine: a local stack's database.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || host.starts_with('/') || address.is_ok_and(|it| it.to_canonical().is_loopback())
}

/// Whether the DSN's query, and not a password that looks like it, has one of these parameters.
fn says(dsn: &str, names: &[&str]) -> bool {
    url::Url::parse(dsn).is_ok_and(|url| url.query_pairs().any(|(name, _)| names.contains(&&*name)))
}

/// The DSN without a parameter, and that parameter's value.
fn take_parameter<'a>(dsn: &'a str, name: &str) -> (String, Option<&'a str>) {
    let Some((address, query)) = dsn.split_once('?') else { return (dsn.to_owned(), None) };
    let value_of = |pair: &'a str| pair.split_once('=').filter(|(it, _)| *it == name).map(|(_, value)| value);
    let value = query.split('&').find_map(value_of);
    let rest: Vec<&str> = query.split('&').filter(|pair| value_of(pair).is_none()).collect();
    (format!("{address}?{}", rest.join("&")), value)
}

/// The names below a host of RDS: in China they end otherwise.
fn rds_labels(host: &str) -> Option<Vec<String>> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<String> = host.split('.').map(str::to_owned).collect();
    let is_rds = host.ends_with(".rds.amazonaws.com")
        || host.ends_with(".amazonaws.com.cn") && labels.iter().any(|label| label == "rds");
    is_rds.then_some(labels)
}

/// The certificates that may sign for this host, if it is one of RDS: its region's, or all when the name tells none that is known.
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
    fn a_server_elsewhere_is_spoken_to_encrypted() {
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
    fn only_the_query_chooses_how_a_server_is_verified() {
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
    fn a_string_that_cant_be_right_is_refused_with_what_is_wrong_with_it_and_without_its_password() {
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
            ("postgres://role:hunter22@db.example/c?pooler=session", "can only be transaction"),
            ("postgres://role:hunter22@db.example/c?sslmode=prefer", "unencrypted"),
        ] {
            let said = ConnectionString::of(dsn).check().unwrap_err().to_string();
            assert!(
                said.starts_with("the connection string is unusable: ") && said.contains(reason),
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
    fn a_password_is_masked_where_the_string_is_repeated_and_nowhere_else() {
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
    fn every_root_of_rds_is_one_that_a_connection_can_use() {
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
    fn a_host_of_rds_is_verified_with_the_roots_of_its_region() {
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
    fn certificates_stand_below_the_connection_string() {
        let root = RDS_ROOTS.split_inclusive(CERTIFICATE_END).next().unwrap();
        let secret = format!("postgres://a:b@db.example/c\r\n{root}");
        assert_eq!(ConnectionString::of(&secret).dsn(), "postgres://a:b@db.example/c");
        server(&secret).unwrap();
        let refusal = |secret: &str| ConnectionString::of(secret).check().unwrap_err().to_string();
        let unchecked = format!("postgres://a:b@db.example/c?sslmode=require\n{root}");
        assert!(refusal(&unchecked).contains("verify-full or verify-ca only"));
        for garbage in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
            assert!(refusal(&format!("postgres://a:b@db.example/c\n{garbage}")).contains("no certificate"));
        }
        assert!(refusal(&format!("sqlite:///a\n{root}")).contains("needs no certificate"));
    }

    #[test]
    fn a_pooler_is_named_by_the_string_or_is_an_rds_proxy() {
        let is_pooled = |dsn: &str| server(dsn).map(|it| it.is_pooled);
        assert!(is_pooled("postgres://a:b@db.example/c?pooler=transaction&sslmode=require").unwrap());
        assert!(is_pooled("postgres://a:b@p.proxy-abc.us-east-1.rds.amazonaws.com/c").unwrap());
        assert!(!is_pooled("postgres://a:b@p.cluster-abc.us-east-1.rds.amazonaws.com/c").unwrap());
        assert!(is_pooled("postgres://a:b@db.example/c?pooler=session").is_err());
        let (rest, value) = take_parameter("postgres://a:b@c/d?x=1&pooler=transaction&y=2", POOLER);
        assert_eq!((rest.as_str(), value), ("postgres://a:b@c/d?x=1&y=2", Some("transaction")));
    }
}
