//! The URL of a partner's endpoint.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{Reach, address::is_public};

/// The maximum length of a stored URL, in bytes.
const MAX_LENGTH: usize = 2_048;

/// An absolute URL that was accepted for some [`Reach`]. It is checked again before every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HookUrl(String);

/// Why a URL is rejected. Partners see the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    #[error("must be an absolute https URL of at most 2048 characters")]
    NoUrl,
    #[error("must begin with https://")]
    Scheme,
    #[error("must not contain a user name or password")]
    Credentials,
    #[error("must not have a fragment")]
    Fragment,
    #[error("must use port 443")]
    Port,
    #[error("must name a host with a public address")]
    Host,
}

impl HookUrl {
    /// Parses a URL as browsers do (WHATWG), so that all notations of an IP address are recognized.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, UrlRefused> {
        if text.len() > MAX_LENGTH {
            return Err(UrlRefused::NoUrl);
        }
        let url = Url::parse(text).map_err(|_| UrlRefused::NoUrl)?;
        check(&url, reach)?;
        if url.as_str().len() > MAX_LENGTH {
            return Err(UrlRefused::NoUrl);
        }
        Ok(Self(url.into()))
    }

    /// Checks a stored URL again, because the rules or the stack may have changed.
    pub(super) fn check(&self, reach: Reach) -> Result<(), UrlRefused> {
        check(&Url::parse(&self.0).map_err(|_| UrlRefused::NoUrl)?, reach)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(url: &Url, reach: Reach) -> Result<(), UrlRefused> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlRefused::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRefused::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UrlRefused::Fragment);
    }
    let loopback = is_loopback(url.host().as_ref());
    if reach.includes_loopback() && loopback {
        return Ok(());
    }
    if url.scheme() != "https" {
        return Err(UrlRefused::Scheme);
    }
    let public = match url.host() {
        Some(Host::Domain(name)) => !loopback && name.trim_end_matches('.').contains('.'),
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        None => false,
    };
    if !public {
        return Err(UrlRefused::Host);
    }
    if url.port_or_known_default() != Some(443) && !reach.includes_loopback() {
        return Err(UrlRefused::Port);
    }
    Ok(())
}

fn is_loopback(host: Option<&Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_rejected_in_any_notation() {
        for url in [
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::7f00:1]/",
            "https://[::ffff:0:7f00:1]/",
            "https://[fec0::1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://１２７.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://metadata/",
        ] {
            assert_eq!(HookUrl::parse(url, Reach::Internet), Err(UrlRefused::Host), "{url}");
        }
    }

    #[test]
    fn only_plain_https_urls_are_accepted() {
        for (url, refused) in [
            ("https://user:pw@example.com/", UrlRefused::Credentials),
            ("https://user@example.com/", UrlRefused::Credentials),
            ("http://example.com/", UrlRefused::Scheme),
            ("ftp://example.com/", UrlRefused::Scheme),
            ("file:///etc/passwd", UrlRefused::Scheme),
            ("https://example.com:8443/", UrlRefused::Port),
            ("https://example.com/#a", UrlRefused::Fragment),
            ("//example.com/", UrlRefused::NoUrl),
            ("", UrlRefused::NoUrl),
        ] {
            assert_eq!(HookUrl::parse(url, Reach::Internet), Err(refused), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_LENGTH));
        assert_eq!(HookUrl::parse(&long, Reach::Internet), Err(UrlRefused::NoUrl));
        let good = HookUrl::parse("https://partner.example.com/hooks?team=1", Reach::Internet).unwrap();
        assert_eq!(good.as_str(), "https://partner.example.com/hooks?team=1");
    }

    #[test]
    fn the_local_stack_reaches_only_loopback_among_private_networks() {
        let local = Reach::InternetAndLoopback;
        for url in ["http://127.0.0.1:4000/hook", "http://localhost:4000/", "https://[::1]:8443/"] {
            assert!(HookUrl::parse(url, local).is_ok(), "{url}");
            assert!(HookUrl::parse(url, local).unwrap().check(Reach::Internet).is_err(), "{url}");
        }
        for url in
            ["http://10.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/", "http://example.com/"]
        {
            assert!(HookUrl::parse(url, local).is_err(), "{url}");
        }
    }
}
