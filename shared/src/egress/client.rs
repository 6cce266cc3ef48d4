//! The HTTP client for partners' endpoints.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use tokio::sync::OnceCell;

use super::{Guard, HookUrl, Reach, Refused, connector::GuardedConnector};

/// How long a partner's endpoint may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP handshake together.
    pub connect: Duration,
    /// From the first look-up to the last byte of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    /// What partners are promised, and told of in [`Failure`].
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(15) }
    }
}

/// Connections are kept for no longer: a name's new address is used soon.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// So much of an answer is read, and so much of it kept.
const READ_LIMIT: usize = 64 * 1024;
const KEPT: usize = 2 * 1024;

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    /// The wait that `Retry-After` asks for, in seconds or as a date.
    pub retry_after: Option<SignedDuration>,
    /// The first 2 KiB.
    pub body: String,
}

/// Why there is no whole answer; the text is for the partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the URL is not allowed any more")]
    Url,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("no answer within 15 seconds")]
    Timeout,
    #[error("no connection could be made within 5 seconds")]
    Connect,
    #[error("the TLS handshake failed; the certificate must be valid for the host name")]
    Tls,
    #[error("the connection was closed before the answer was complete")]
    Broken,
}

type Legacy = legacy::Client<HttpsConnector<GuardedConnector>, Full<Bytes>>;

/// Posts to partners' endpoints: no redirects, no proxy, connections pooled. Reads the machine's root certificates on
/// first use.
pub struct Client {
    guard: Guard,
    timeouts: Timeouts,
    inner: OnceCell<Legacy>,
}

impl Client {
    pub fn new(guard: Guard) -> Self {
        Self { guard, timeouts: Timeouts::default(), inner: OnceCell::new() }
    }

    /// With other timeouts than the usual ones.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    pub fn reach(&self) -> Reach {
        self.guard.reach()
    }

    /// Whether the host of a URL may be called as things stand; it is judged again at every call.
    pub async fn vet(&self, url: &HookUrl) -> Result<(), Refused> {
        let uri: http::Uri = url.as_str().parse().map_err(|_| Refused::NoAddress)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let addresses = self.guard.addresses(uri.host().unwrap_or_default(), port);
        tokio::time::timeout(self.timeouts.connect, addresses)
            .await
            .unwrap_or(Err(Refused::NoAddress))
            .map(|_| ())
    }

    /// Sends one POST and reads the answer, within the total timeout.
    pub async fn post(
        &self,
        url: &HookUrl,
        headers: HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        url.check(self.guard.reach()).map_err(|_| Failure::Url)?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .body(Full::new(body))
            .map_err(|_| Failure::Url)?;
        *request.headers_mut() = headers;
        let client = self.inner.get_or_try_init(async || build(self.guard.clone(), self.timeouts)).await?;
        tokio::time::timeout(self.timeouts.total, exchange(client, request, now))
            .await
            .unwrap_or(Err(Failure::Timeout))
    }
}

fn build(guard: Guard, timeouts: Timeouts) -> Result<Legacy, Failure> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| {
            tracing::error!(%error, "the machine's root certificates can't be read");
            Failure::Tls
        })?
        .https_or_http()
        .enable_http1()
        .wrap_connector(GuardedConnector { guard, timeout: timeouts.connect });
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(4)
        .build(connector))
}

async fn exchange(client: &Legacy, request: Request<Full<Bytes>>, now: Timestamp) -> Result<Answer, Failure> {
    let response = client.request(request).await.map_err(|error| failure_of(&error))?;
    let (parts, mut body) = response.into_parts();
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Broken)?;
        let Some(data) = frame.data_ref() else { continue };
        read += data.len();
        let room = KEPT.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(&data[..room]);
        if read >= READ_LIMIT {
            break;
        }
    }
    Ok(Answer {
        status: parts.status,
        retry_after: retry_after(&parts.headers, now),
        body: String::from_utf8_lossy(&kept).into_owned(),
    })
}

/// `Retry-After` (RFC 9110 §10.2.3); a date in the past asks for no wait.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now).max(SignedDuration::ZERO))
}

fn failure_of(error: &legacy::Error) -> Failure {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return Failure::Refused(*refused);
        }
        if cause.downcast_ref::<rustls::Error>().is_some() {
            return Failure::Tls;
        }
        // An I/O error that wraps another tells of it by `get_ref`, not by `source`.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        source = wrapped.map(|it| it as &(dyn Error + 'static)).or_else(|| cause.source());
    }
    if error.is_connect() { Failure::Connect } else { Failure::Broken }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let asked = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|it| it.as_secs())
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Mon, 23 Nov 2026 12:05:00 GMT"), Some(300));
        assert_eq!(asked("Mon, 23 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
    }

    #[test]
    fn partners_are_told_of_the_timeouts_that_hold() {
        let Timeouts { connect, total } = Timeouts::default();
        assert!(Failure::Connect.to_string().ends_with(&format!("within {} seconds", connect.as_secs())));
        assert!(Failure::Timeout.to_string().ends_with(&format!("within {} seconds", total.as_secs())));
    }
}
