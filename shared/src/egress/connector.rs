//! TCP connections that the guard allows; TLS is put on top of them.

use std::{
    error::Error,
    io,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::{Guard, Refused};

/// Dials only addresses that the guard has judged, and no proxy.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    pub(super) guard: Guard,
    /// Of name resolution and TCP handshake together.
    pub(super) timeout: Duration,
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (guard, timeout) = (self.guard.clone(), self.timeout);
        Box::pin(async move {
            let connected = tokio::time::timeout(timeout, dial(&guard, &uri)).await;
            connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        })
    }
}

/// Tries the host's addresses one after the other.
async fn dial(guard: &Guard, uri: &Uri) -> Result<TokioIo<TcpStream>, Box<dyn Error + Send + Sync>> {
    let host = uri.host().ok_or(Refused::NoAddress)?;
    let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let addresses = guard.addresses(host, uri.port_u16().unwrap_or(default_port)).await?;
    let mut last = io::Error::from(io::ErrorKind::NotConnected);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(TokioIo::new(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}
