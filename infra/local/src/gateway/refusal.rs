//! Requests rejected before they reach a function, in the format of the functions' own errors.

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use shared::{
    api::{Code, Problem},
    domain::request_id,
};

use crate::{
    http::{HttpResponse, answer},
    random,
};

const REQUEST_ID: &str = "x-request-id";

/// Returns a problem response as a function would.
pub(super) fn refuse(headers: &HeaderMap, code: Code, detail: &str) -> HttpResponse {
    let id = request_id(headers);
    let problem = Problem::new(code, detail.to_owned(), &id, "");
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut answer = answer(code.status(), "application/problem+json", body);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    answer
}

/// Returns a problem response that allows a retry after a second.
pub(super) fn refuse_for_now(headers: &HeaderMap, code: Code, detail: &str) -> HttpResponse {
    let mut answer = refuse(headers, code, detail);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    if let Some(id) = sent.filter(|id| request_id::is_acceptable(id)) {
        return id.to_owned();
    }
    let bytes = random::bytes(12).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    request_id::new(Timestamp::now(), bytes)
}

/// Whether every `%` in a path begins an encoded byte, and the decoded path is UTF-8.
pub(super) fn is_well_encoded(path: &str) -> bool {
    let codes = path.split('%').skip(1);
    let complete = |code: &str| code.len() >= 2 && code.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    codes.into_iter().all(complete) && percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_rejection_is_a_problem_with_the_request_id() {
        let headers =
            HeaderMap::from_iter([(REQUEST_ID.parse().unwrap(), HeaderValue::from_static("my-call_0001"))]);
        let refused = refuse(&headers, Code::InvalidPath, "The path is not well encoded.");
        assert_eq!(refused.status(), 400);
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        assert_eq!(refused.headers()["x-request-id"], "my-call_0001");
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&"INVALID_PATH".into(), &400.into()));
        assert_eq!(problem["requestId"], "my-call_0001");
    }

    #[test]
    fn every_percent_sign_in_a_path_must_begin_an_encoded_byte() {
        for good in ["/v1/me", "/v1/a%20b", "/v1/%C3%A9", "/v1/%25"] {
            assert!(is_well_encoded(good), "{good}");
        }
        for bad in ["/v1/%", "/v1/%2", "/v1/%zz", "/v1/%2%20", "/v1/%ff", "/v1/%C3"] {
            assert!(!is_well_encoded(bad), "{bad}");
        }
    }
}
