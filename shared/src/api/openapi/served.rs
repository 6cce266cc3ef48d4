//! Serves the description: for partners or for administrators, as OpenAPI 3.1 or 3.0.
//!
//! All are derived from `infra/openapi.json` when they are first read, so they cannot differ from
//! it. This module compresses them, because API Gateway's HTTP APIs do not, and `CloudFront`
//! compresses only what it caches, which is nothing below `/v1`.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{partners, version_3_0};
use crate::{
    api::{FieldProblem, FieldValue, Source, etag},
    domain::scope::text_enum,
    params,
};

text_enum! {
    /// A version of the OpenAPI Specification: 3.1 is 3.1.0, 3.0 is 3.0.3.
    SpecVersion {
        V31 = "3.1",
        V30 = "3.0",
    }
}

impl FieldValue for SpecVersion {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        source.text()?.parse().map_err(|()| FieldProblem::invalid("must be one of 3.1, 3.0"))
    }
}

params! {
    pub struct GetDescription {
        /// The version of OpenAPI; default 3.1. Version 3.0 is for tools that cannot read 3.1, and
        /// has no `webhooks`.
        "version" => version: Option<SpecVersion>,
    }
}

/// The readers of a description.
#[derive(Clone, Copy, Debug)]
pub enum Audience {
    /// Everybody: without the operations of administrators and of the portal.
    Partners,
    Administrators,
}

/// A description as one endpoint serves it.
pub struct Published {
    /// What [`super::describe`] returned.
    whole: &'static str,
    audience: Audience,
    /// The documents made so far, by version and by host.
    made: Mutex<BTreeMap<Edition, Arc<Made>>>,
}

/// The version of a document, and the host that it names.
type Edition = (SpecVersion, Option<String>);

/// A document, plain and compressed.
struct Made {
    plain: Representation,
    gzip: Representation,
}

struct Representation {
    body: Bytes,
    etag: String,
}

impl Published {
    pub const fn new(whole: &'static str, audience: Audience) -> Self {
        Self { whole, audience, made: Mutex::new(BTreeMap::new()) }
    }

    /// Returns the response to a request with these headers: 200, or 304 if the caller has the
    /// document already.
    ///
    /// `host` is the permanent host of the API, if there is one. Without one, the address of the
    /// document itself applies.
    pub fn response(&self, query: &GetDescription, host: Option<&str>, request: &HeaderMap) -> Response {
        let made = self.made(query.version.unwrap_or(SpecVersion::V31), host);
        let gzip = accepts_gzip(request);
        let found = if gzip { &made.gzip } else { &made.plain };
        let mut response = if found.is_known_to(request) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, "application/json")], found.body.clone()).into_response()
        };
        let caching = match self.audience {
            Audience::Partners => "public, max-age=300",
            Audience::Administrators => "private, max-age=300",
        };
        let headers = response.headers_mut();
        if gzip && headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(etag) = HeaderValue::from_str(&found.etag) {
            headers.insert(ETAG, etag);
        }
        response
    }

    fn made(&self, version: SpecVersion, host: Option<&str>) -> Arc<Made> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((version, host.map(str::to_owned)))
            .or_insert_with(|| Arc::new(self.make(version, host)))
            .clone()
    }

    fn make(&self, version: SpecVersion, host: Option<&str>) -> Made {
        // A test compares the text with the code, so it is JSON.
        let mut document: Value = serde_json::from_str(self.whole).unwrap_or_default();
        if matches!(self.audience, Audience::Partners) {
            partners::keep_only(&mut document);
        }
        if version == SpecVersion::V30 {
            version_3_0::convert(&mut document);
        }
        if let Some(host) = host {
            document["servers"] = json!([{ "url": format!("https://{host}") }]);
        }
        let plain = document.to_string();
        let etag = etag(&document);
        // A strong validator differs between encodings (RFC 9110, section 8.8.3.3).
        let of_gzip = format!("{}-gzip\"", etag.trim_end_matches('"'));
        Made {
            gzip: Representation { body: gzip(plain.as_bytes()).into(), etag: of_gzip },
            plain: Representation { body: plain.into(), etag },
        }
    }
}

impl Representation {
    /// Whether `If-None-Match` names this representation (RFC 9110, section 13.1.2).
    ///
    /// A cache between may have made the tag weak.
    fn is_known_to(&self, request: &HeaderMap) -> bool {
        listed(request, IF_NONE_MATCH.as_str())
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
    }
}

/// Whether the caller accepts a body in gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let said = |wanted: &str| {
        listed(request, ACCEPT_ENCODING.as_str()).find_map(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.filter_map(|it| it.strip_prefix("q=")).any(|weight| {
                let digits = weight.trim_matches(['0', '.']);
                digits.is_empty()
            });
            name.eq_ignore_ascii_case(wanted).then_some(!refused)
        })
    };
    said("gzip").or_else(|| said("*")).unwrap_or(false)
}

/// Returns the items of a header whose value is a list.
fn listed<'a>(request: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values = request.get_all(name).into_iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_callers_that_accept_it() {
        let cases = [
            (None, false),
            (Some(""), false),
            (Some("gzip"), true),
            (Some("br, GZIP;q=0.5"), true),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.000, *"), false),
            (Some("*"), true),
            (Some("*;q=0"), false),
            (Some("identity, br"), false),
        ];
        for (value, accepted) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(accepts_gzip(&headers), accepted, "{value:?}");
        }
    }
}
