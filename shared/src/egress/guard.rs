//! Name resolution, and rejection of addresses that are not public.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use tokio::net::TcpStream;

use super::{Reach, address::is_public};

/// Resolves names to addresses.
pub trait Resolver: Send + Sync {
    /// Returns the addresses of a name; none if the name has none.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if the name does not exist; any other kind if the lookup failed.
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name, 0)).await.map_err(|error| {
                if is_no_such_name(&error.to_string()) { io::ErrorKind::NotFound.into() } else { error }
            })?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// Whether the error is `EAI_NONAME` or `EAI_NODATA`.
///
/// The standard library reports `getaddrinfo`'s codes only as the texts of glibc and musl.
fn is_no_such_name(error: &str) -> bool {
    [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
    ]
    .iter()
    .any(|text| error.contains(text))
}

/// Why no connection is attempted. Partners see the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no such host: the name has no address")]
    NoAddress,
    #[error("the host name could not be looked up: DNS failed")]
    LookupFailed,
    #[error("the host has an address that is not public")]
    NotPublic,
    #[error("the port is not 443")]
    Port,
}

/// Decides which addresses a host may be reached at.
#[derive(Clone)]
pub struct Guard {
    resolver: Arc<dyn Resolver>,
    reach: Reach,
}

impl Guard {
    pub fn new(resolver: Arc<dyn Resolver>, reach: Reach) -> Self {
        Self { resolver, reach }
    }

    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the vetted addresses of `host`, a name or an IP literal with or without brackets.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<Vetted>, Refused> {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let addresses = match literal {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(host.to_owned()).await.map_err(|error| {
                if error.kind() == io::ErrorKind::NotFound {
                    Refused::NoAddress
                } else {
                    tracing::warn!(%error, "a host name could not be looked up");
                    Refused::LookupFailed
                }
            })?,
        };
        if addresses.is_empty() {
            return Err(Refused::NoAddress);
        }
        for address in &addresses {
            let loopback = self.reach.includes_loopback() && address.to_canonical().is_loopback();
            if !loopback && !is_public(*address) {
                return Err(Refused::NotPublic);
            }
        }
        if port != 443 && !self.reach.includes_loopback() {
            return Err(Refused::Port);
        }
        let vetted = |address: IpAddr| Vetted(SocketAddr::new(address.to_canonical(), port));
        Ok(addresses.into_iter().map(vetted).collect())
    }
}

/// An address that the guard allows. Only this module creates one; connections need one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vetted(SocketAddr);

impl Vetted {
    pub(super) fn is_ipv6(&self) -> bool {
        self.0.is_ipv6()
    }

    pub(super) async fn connect(self) -> io::Result<TcpStream> {
        TcpStream::connect(self.0).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Answers(Vec<&'static str>);

    impl Resolver for Answers {
        fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let answers = self.0.iter().map(|it| it.parse().unwrap()).collect();
            Box::pin(async { Ok(answers) })
        }
    }

    async fn resolved(answers: &[&'static str], reach: Reach, port: u16) -> Result<usize, Refused> {
        let guard = Guard::new(Arc::new(Answers(answers.to_vec())), reach);
        guard.addresses("partner.example.com", port).await.map(|addresses| addresses.len())
    }

    #[tokio::test]
    async fn one_private_address_among_public_ones_blocks_the_host() {
        let internet = Reach::Internet;
        assert_eq!(resolved(&["93.184.216.34", "2606:4700::1111"], internet, 443).await, Ok(2));
        for bad in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(
                resolved(&["93.184.216.34", bad], internet, 443).await,
                Err(Refused::NotPublic),
                "{bad}"
            );
        }
        assert_eq!(resolved(&[], internet, 443).await, Err(Refused::NoAddress));
        assert_eq!(resolved(&["93.184.216.34"], internet, 8443).await, Err(Refused::Port));
    }

    #[tokio::test]
    async fn only_the_local_stack_reaches_loopback() {
        let local = Reach::InternetAndLoopback;
        assert_eq!(resolved(&["127.0.0.1"], local, 4000).await, Ok(1));
        assert_eq!(resolved(&["10.0.0.1"], local, 443).await, Err(Refused::NotPublic));
    }

    #[tokio::test]
    async fn an_ip_literal_is_checked_without_the_resolver() {
        let guard = Guard::new(Arc::new(Answers(vec!["93.184.216.34"])), Reach::Internet);
        for literal in ["127.0.0.1", "[::1]", "::1", "[64:ff9b::7f00:1]"] {
            assert_eq!(guard.addresses(literal, 443).await, Err(Refused::NotPublic), "{literal}");
        }
        assert_eq!(guard.addresses("[2606:4700::1111]", 443).await.map(|it| it.len()), Ok(1));
    }
}
