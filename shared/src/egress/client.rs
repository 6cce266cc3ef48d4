//! The HTTP client for partners' endpoints.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout, timeout_at},
};
use url::Url;

use super::{
    Failure, Guard, HookUrl, Phase, Reach, Refused, Timeouts, TlsFailure, connector::GuardedConnector,
    failure,
};

/// How long idle connections stay open. It is short, so that a name's new address is used soon.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a response is read. Only the first [`MAX_STORED_BYTES`] are stored.
const READ_LIMIT: usize = 64 * 1024;
const MAX_STORED_BYTES: usize = 2 * 1024;

/// The maximum length of a redirect's target in error messages.
const LOCATION_LIMIT: usize = 200;

/// An endpoint's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointResponse {
    pub status: StatusCode,
    /// The wait that `Retry-After` requests.
    pub retry_after: Option<Duration>,
    /// The target of a redirect, without its query.
    pub location: Option<String>,
    /// The first 2 KiB.
    pub body: String,
}

type Legacy = legacy::Client<GuardedConnector, Full<Bytes>>;

/// Posts to partners' endpoints, with pooled connections, without redirects or a proxy.
///
/// Reads the machine's root certificates on first use.
pub struct Client {
    guard: Guard,
    timeouts: Timeouts,
    /// `None` for the machine's certificates.
    roots: Option<RootCertStore>,
    inner: OnceCell<Legacy>,
}

impl Client {
    pub fn new(guard: Guard) -> Self {
        Self { guard, timeouts: Timeouts::default(), roots: None, inner: OnceCell::new() }
    }

    /// Replaces the default timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Replaces the machine's certificate authorities.
    #[must_use]
    pub fn with_roots(self, roots: RootCertStore) -> Self {
        Self { roots: Some(roots), ..self }
    }

    pub fn reach(&self) -> Reach {
        self.guard.reach()
    }

    /// Checks that a URL's host may be called now. Each call checks it again.
    pub async fn vet(&self, url: &HookUrl) -> Result<(), Refused> {
        let uri: http::Uri = url.as_str().parse().map_err(|_| Refused::NoAddress)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let addresses = self.guard.addresses(uri.host().unwrap_or_default(), port);
        timeout(self.timeouts.connect, addresses).await.unwrap_or(Err(Refused::LookupFailed)).map(|_| ())
    }

    /// Sends one POST and reads the response, within the total timeout.
    pub async fn post(
        &self,
        url: &HookUrl,
        headers: HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<EndpointResponse, Failure> {
        url.check(self.guard.reach()).map_err(|_| Failure::Url)?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .body(Full::new(body))
            .map_err(|_| Failure::Url)?;
        *request.headers_mut() = headers;
        let end = Instant::now() + self.timeouts.total;
        let client = self.inner.get_or_try_init(async || self.build()).await?;
        let response = timeout_at(end, client.request(request)).await;
        let response = response.map_err(|_| Failure::TimedOut(Phase::FirstByte))?;
        let (parts, body) = response.map_err(|error| failure::of_call(&error))?.into_parts();
        let body = timeout_at(end, read(body)).await.map_err(|_| Failure::TimedOut(Phase::Body))??;
        Ok(EndpointResponse {
            status: parts.status,
            retry_after: retry_after(&parts.headers, now),
            location: parts.status.is_redirection().then(|| location(&parts.headers, url)).flatten(),
            body,
        })
    }

    fn build(&self) -> Result<Legacy, Failure> {
        let unusable = |error: &dyn std::error::Error| {
            tracing::error!(%error, "cannot read the machine's root certificates");
            Failure::Tls(TlsFailure::UnknownIssuer)
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let config = match &self.roots {
            Some(roots) => config.with_root_certificates(roots.clone()),
            None => config.with_native_roots().map_err(|error| unusable(&error))?,
        };
        let tls = Arc::new(config.with_no_client_auth());
        let connector = GuardedConnector { guard: self.guard.clone(), timeouts: self.timeouts, tls };
        Ok(legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(4)
            .build(connector))
    }
}

/// Reads the beginning of a body.
async fn read(mut body: hyper::body::Incoming) -> Result<String, Failure> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure::of_exchange(&error).unwrap_or(Failure::Closed))?;
        let Some(data) = frame.data_ref() else { continue };
        read += data.len();
        let room = MAX_STORED_BYTES.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(&data[..room]);
        if read >= READ_LIMIT {
            break;
        }
    }
    Ok(text_of(&kept))
}

/// Returns the bytes as text of at most [`MAX_STORED_BYTES`].
///
/// Each byte that is not UTF-8 takes three in the text.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let mut end = text.len().min(MAX_STORED_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Returns the wait that `Retry-After` requests (RFC 9110 §10.2.3), in seconds or as a date.
///
/// All three forms of a date are accepted. A date in the past means no wait. A number that is too
/// large means the longest wait. Other values are ignored.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// Returns a redirect's target for people to read: shortened, without query or credentials.
fn location(headers: &HeaderMap, from: &HookUrl) -> Option<String> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    let mut target = Url::parse(from.as_str()).ok()?.join(text).ok()?;
    target.set_query(None);
    target.set_fragment(None);
    let _ = (target.set_username(""), target.set_password(None));
    Some(target.as_str().chars().take(LOCATION_LIMIT).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let asked = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|it| it.as_secs())
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Mon, 23 Nov 2026 12:05:00 GMT"), Some(300));
        assert_eq!(asked("Mon, 23 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(asked("Monday, 23-Nov-26 12:05:00 GMT"), Some(300));
        assert_eq!(asked("Mon Nov 23 12:05:00 2026"), Some(300));
        assert_eq!(asked("99999999999999999999999999"), Some(u64::MAX));
        for garbage in ["soon", "-5", "5.5", "1e3", "", "0x10", "Mon, 99 Nov 2026 12:05:00 GMT"] {
            assert_eq!(asked(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn a_response_that_is_not_text_is_stored_within_the_same_limit() {
        let compressed = text_of(&[0xff; MAX_STORED_BYTES]);
        assert!(
            (MAX_STORED_BYTES - 2..=MAX_STORED_BYTES).contains(&compressed.len()),
            "{}",
            compressed.len()
        );
        let cut = "é".repeat(MAX_STORED_BYTES);
        assert_eq!(text_of(&cut.as_bytes()[..MAX_STORED_BYTES - 1]).len(), MAX_STORED_BYTES - 2);
        assert_eq!(text_of(b"no such patient"), "no such patient");
    }

    #[test]
    fn timeout_messages_state_the_limits_in_force() {
        let timeouts = Timeouts::default();
        for (phase, limit) in [
            (Phase::Connect, timeouts.connect),
            (Phase::Tls, timeouts.tls()),
            (Phase::FirstByte, timeouts.total),
            (Phase::Body, timeouts.total),
        ] {
            let shown = Failure::TimedOut(phase).to_string();
            assert!(shown.ends_with(&format!(" {} seconds", limit.as_secs())), "{shown}");
        }
    }

    #[test]
    fn the_target_of_a_redirect_is_reported_without_secrets() {
        let from = HookUrl::parse("https://partner.example.com/hook?key=1", Reach::Internet).unwrap();
        let shown =
            |text: &str| location(&HeaderMap::from_iter([(header::LOCATION, text.parse().unwrap())]), &from);
        assert_eq!(shown("/login?token=1#a").as_deref(), Some("https://partner.example.com/login"));
        assert_eq!(shown("http://me:pw@other.example/").as_deref(), Some("http://other.example/"));
        assert_eq!(shown(&format!("/{}", "a".repeat(500))).map(|it| it.len()), Some(LOCATION_LIMIT));
    }
}
