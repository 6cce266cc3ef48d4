//! Turns a function's response into HTTP by the rules of payload format 2.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value};

use crate::http::{HttpResponse, json};

/// Returns the HTTP response; `None` if API Gateway could not build one.
pub(super) fn from_function(body: &[u8]) -> Option<HttpResponse> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let Some(reply) = value.as_object().filter(|reply| reply.contains_key("statusCode")) else {
        // Without a status code, the whole value is the body of a 200.
        return Some(json(StatusCode::OK, &value));
    };
    let status = u16::try_from(reply["statusCode"].as_u64()?).ok()?;
    let mut answer = Response::new(Full::new(content(reply)?));
    *answer.status_mut() = StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 200)?;
    let lists = reply.get("multiValueHeaders").and_then(Value::as_object).into_iter().flatten();
    let lists = lists
        .flat_map(|(name, values)| values.as_array().into_iter().flatten().map(move |value| (name, value)));
    for (name, value) in reply.get("headers").and_then(Value::as_object).into_iter().flatten() {
        answer.headers_mut().insert(name_of(name)?, value_of(value)?);
    }
    for (name, value) in lists {
        answer.headers_mut().append(name_of(name)?, value_of(value)?);
    }
    for cookie in reply.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        answer.headers_mut().append(header::SET_COOKIE, value_of(cookie)?);
    }
    // The server sets these itself: it knows the length, and framing isn't the function's task.
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer.headers_mut().remove(header::TRANSFER_ENCODING);
    answer.headers_mut().remove(header::CONNECTION);
    if !answer.headers().contains_key(header::CONTENT_TYPE) {
        answer
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Some(answer)
}

fn content(reply: &Map<String, Value>) -> Option<Bytes> {
    let body = match reply.get("body") {
        None | Some(Value::Null) => return Some(Bytes::new()),
        Some(body) => body.as_str()?,
    };
    if reply.get("isBase64Encoded") == Some(&Value::Bool(true)) {
        return BASE64.decode(body).ok().map(Bytes::from);
    }
    Some(Bytes::from(body.to_owned()))
}

fn name_of(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

fn value_of(value: &Value) -> Option<HeaderValue> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    async fn body(answer: HttpResponse) -> Vec<u8> {
        answer.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn status_headers_cookies_and_encoded_bodies_are_returned() {
        let reply = json!({
            "statusCode": 201,
            "headers": { "Content-Type": "application/json", "X-Number": 3, "Content-Length": "99" },
            "cookies": ["a=1", "b=2; Secure"],
            "body": "e30=",
            "isBase64Encoded": true,
        });
        let answer = from_function(reply.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-number"], "3");
        assert!(!answer.headers().contains_key("content-length"));
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(body(answer).await, b"{}");
    }

    #[tokio::test]
    async fn a_reply_without_a_status_becomes_the_body_of_a_200() {
        let answer = from_function(br#"{"a":1}"#).unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(body(answer).await, br#"{"a":1}"#);
    }

    #[test]
    fn a_malformed_function_response_is_an_error() {
        for broken in [
            "",
            "not json",
            r#"{"statusCode":"many"}"#,
            r#"{"statusCode":99}"#,
            r#"{"statusCode":200,"body":"*","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"headers":{"bad name":"x"}}"#,
        ] {
            assert!(from_function(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
