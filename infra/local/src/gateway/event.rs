//! A request as a Lambda event: payload format 2.0 of the HTTP API.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::request::Parts;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::routes::Match;
use crate::clock::now_millis;
use crate::random;
use crate::template::ACCOUNT;

/// Everything in a request except its body.
pub(super) struct Context<'a> {
    parts: &'a Parts,
    route: &'a Match,
    now_millis: i64,
}

impl<'a> Context<'a> {
    pub(super) fn new(parts: &'a Parts, route: &'a Match) -> Self {
        Self { parts, route, now_millis: now_millis() }
    }

    /// Returns the event; `None` if the decoded path isn't UTF-8.
    pub(super) fn event(&self, body: &[u8]) -> Option<Value> {
        let request = self.parts;
        let path = raw_path(request.uri.path())?;
        let query = request.uri.query().unwrap_or_default();
        let host = text(&request.headers, header::HOST.as_str());
        let request_id = random::alphanumeric(16).ok()?;
        let time = jiff::Timestamp::from_millisecond(self.now_millis).ok()?;

        let mut event = json!({
            "version": "2.0",
            "routeKey": self.route.route_key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers(&request.headers, &host),
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": "local",
                "domainName": host.split(':').next(),
                "domainPrefix": "local",
                "http": {
                    "method": request.method.as_str(),
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": text(&request.headers, header::USER_AGENT.as_str()),
                },
                "requestId": request_id,
                "routeKey": self.route.route_key,
                "stage": "$default",
                "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": self.now_millis,
            },
            "isBase64Encoded": false,
        });
        let cookies = cookies(&request.headers);
        if !cookies.is_empty() {
            event["cookies"] = Value::from(cookies);
        }
        if !query.is_empty() {
            event["queryStringParameters"] = Value::Object(query_parameters(query));
        }
        if !self.route.parameters.is_empty() {
            event["pathParameters"] = json!(self.route.parameters);
        }
        if !body.is_empty() {
            let as_text = std::str::from_utf8(body).ok().filter(|_| is_text(&request.headers));
            event["isBase64Encoded"] = Value::Bool(as_text.is_none());
            event["body"] = Value::String(as_text.map_or_else(|| BASE64.encode(body), str::to_owned));
        }
        Some(event)
    }
}

/// Returns the decoded path up to a decoded question mark. The HTTP API delivers it like this,
/// although it calls it "raw".
fn raw_path(path: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    match decoded.find('?') {
        Some(end) => Some(Cow::Owned(decoded[..end].to_owned())),
        None => Some(decoded),
    }
}

/// Returns all values of a header, joined by commas.
fn text(headers: &HeaderMap, name: &str) -> String {
    let values =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    values.collect::<Vec<_>>().join(",")
}

fn headers(headers: &HeaderMap, host: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys().filter(|name| **name != header::COOKIE && !is_hop_by_hop(name.as_str())) {
        all.insert(name.as_str().to_owned(), Value::String(text(headers, name.as_str())));
    }
    let forwarded = match text(headers, "x-forwarded-for") {
        before if before.is_empty() => "127.0.0.1".to_owned(),
        before => format!("{before}, 127.0.0.1"),
    };
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    all.insert("x-forwarded-for".to_owned(), Value::String(forwarded));
    all.insert("x-forwarded-proto".to_owned(), Value::from("http"));
    all.insert("x-forwarded-port".to_owned(), Value::from(port));
    all
}

/// Whether a header concerns only the connection; the gateway does not forward those.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    )
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies =
        values.flat_map(|value| value.split(';')).map(str::trim).filter(|cookie| !cookie.is_empty());
    cookies.map(str::to_owned).collect()
}

/// Returns the decoded parameters; values of repeated ones are joined by commas.
fn query_parameters(query: &str) -> Map<String, Value> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let value = decode(value);
        all.entry(decode(name))
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    all.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

/// Whether the HTTP API passes this content to the function as text; all other content is base64.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let content_type = text(headers, header::CONTENT_TYPE.as_str()).to_ascii_lowercase();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.starts_with("text/")
        || media.ends_with("+json")
        || media.ends_with("+xml")
        || matches!(media, "application/json" | "application/javascript" | "application/xml")
}

#[cfg(test)]
mod tests;
