//! A small HTTP/1.1 server on loopback for the gateway, the Runtime API, SQS and the others.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::shutdown::stopped;

/// A response whose body is complete in memory.
pub(crate) type HttpResponse = Response<Full<Bytes>>;

/// How long open connections may take to finish once the stack stops.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Listens on 127.0.0.1; port 0 selects a free one.
pub(crate) async fn listen(port: u16) -> Result<(TcpListener, SocketAddr)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.map_err(Error::io(address.to_string()))?;
    let address = listener.local_addr().map_err(Error::io("a listening socket"))?;
    Ok((listener, address))
}

/// Serves every connection until `stop` turns true, then gives open requests a moment to finish.
pub(crate) async fn serve<Handler, Reply>(
    listener: TcpListener,
    handler: Handler,
    mut stop: watch::Receiver<bool>,
) where
    Handler: Fn(Request<Incoming>) -> Reply + Clone + Send + 'static,
    Reply: Future<Output = HttpResponse> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, handler.clone(), stop.clone()));
                }
                // Probably out of file descriptors; do not spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let closed = async { while connections.join_next().await.is_some() {} };
    // Dropping the set closes the connections that have not finished by then.
    let _ = tokio::time::timeout(CLOSING_TIME, closed).await;
}

async fn connection<Handler, Reply>(stream: TcpStream, handler: Handler, mut stop: watch::Receiver<bool>)
where
    Handler: Fn(Request<Incoming>) -> Reply + Clone + Send + 'static,
    Reply: Future<Output = HttpResponse> + Send + 'static,
{
    // Send small responses immediately. A failure here only makes them slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let reply = handler(request);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_mins(1))
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is the caller's problem.
        _ = connection.as_mut() => {}
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Why a request's body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    /// The caller disconnected or sent something that isn't HTTP.
    Broken,
}

/// Reads the whole body, up to `limit` bytes.
pub(crate) async fn read_body(body: Incoming, limit: usize) -> std::result::Result<Bytes, BodyError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}

/// Returns a response with this content type.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    answer
}

/// Returns a JSON response.
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> HttpResponse {
    answer(status, "application/json", body.to_string())
}
