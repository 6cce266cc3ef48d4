//! Connections that the guard allows: TCP, and TLS on top of it.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tower::Service;

use super::{Failure, Guard, Phase, Refused, Timeouts, failure, guard::Vetted};

/// The delay before the next address is tried in parallel (RFC 8305 §5).
///
/// The RFC calls it "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The maximum number of addresses of a host that are tried.
const MOST_CANDIDATES: usize = 8;

/// Connects only to addresses that the guard has vetted, without a proxy.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    pub(super) guard: Guard,
    pub(super) timeouts: Timeouts,
    pub(super) tls: Arc<ClientConfig>,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Service<Uri> for GuardedConnector {
    type Response = Stream;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Stream, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await })
    }
}

impl GuardedConnector {
    async fn connect(&self, uri: &Uri) -> Result<Stream, Failure> {
        let host = uri.host().ok_or(Refused::NoAddress)?;
        let plain = uri.scheme_str() == Some("http");
        let port = uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
        let connecting = async {
            let addresses = self.guard.addresses(host, port).await?;
            dial(addresses).await.map_err(|error| failure::of_io(&error).unwrap_or(Failure::Connect))
        };
        let connecting = timeout(self.timeouts.connect, connecting).await;
        let stream = connecting.map_err(|_| Failure::TimedOut(Phase::Connect))??;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        if plain {
            return Ok(MaybeHttpsStream::Http(TokioIo::new(stream)));
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| Failure::Url)?;
        let stream = TokioIo::new(TokioIo::new(stream));
        let handshake = TlsConnector::from(self.tls.clone()).connect(name, stream);
        let handshake = timeout(self.timeouts.tls(), handshake).await;
        let stream = handshake.map_err(|_| Failure::TimedOut(Phase::Tls))?;
        let stream = stream.map_err(|error| Failure::Tls(failure::of_handshake(&error)))?;
        Ok(MaybeHttpsStream::Https(TokioIo::new(stream)))
    }
}

/// Connects to one of the addresses, as in Happy Eyeballs (RFC 8305).
///
/// Tries each address a moment after the previous one, or as soon as that has failed, and returns
/// the first connection.
async fn dial(addresses: Vec<Vetted>) -> io::Result<TcpStream> {
    let mut left = alternate(addresses).into_iter().take(MOST_CANDIDATES);
    let mut under_way = FuturesUnordered::new();
    let mut first_error = None;
    under_way.extend(left.next().map(Vetted::connect));
    loop {
        let more = left.len() > 0;
        tokio::select! {
            Some(connected) = under_way.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    first_error.get_or_insert(error);
                    under_way.extend(left.next().map(Vetted::connect));
                }
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {
                under_way.extend(left.next().map(Vetted::connect));
            }
            else => return Err(first_error.unwrap_or_else(|| io::ErrorKind::NotConnected.into())),
        }
    }
}

/// Alternates between address families, otherwise in the resolver's order (RFC 8305 §4).
fn alternate(addresses: Vec<Vetted>) -> Vec<Vetted> {
    let first = addresses.first().is_some_and(Vetted::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|it| it.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(one.len() + other.len());
    while one.len() + other.len() > 0 {
        mixed.extend(one.next());
        mixed.extend(other.next());
    }
    mixed
}
