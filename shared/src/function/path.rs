//! The path of a request as API Gateway matched it.

use axum::http::{Uri, uri::PathAndQuery};
use lambda_http::{Request, RequestExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded::Serializer;

/// What a path may hold as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes the path again, which API Gateway decodes: otherwise a `#` or `..` in an id would end or climb up the path, and
/// another route than API Gateway's would take the request.
pub(super) fn keep(mut request: Request) -> Request {
    let path = utf8_percent_encode(request.raw_http_path(), ENCODED).to_string();
    if path.starts_with('/') && path != request.uri().path() {
        // A `#` in the path has cut the query off, too.
        let parameters = request.query_string_parameters();
        let query = Serializer::new(String::new()).extend_pairs(parameters.iter()).finish();
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        if let Ok(target) = target.parse::<PathAndQuery>() {
            *request.uri_mut() = Uri::from(target);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path_and_query(raw_path: &str) -> String {
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": raw_path, "rawQueryString": "a=1",
            "headers": { "host": "api.example.com" }, "isBase64Encoded": false,
            "requestContext": { "stage": "$default", "http": {
                "method": "POST", "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "",
            } },
        });
        let request = keep(lambda_http::request::from_str(&event.to_string()).unwrap());
        request.uri().path_and_query().unwrap().to_string()
    }

    #[test]
    fn an_id_of_any_characters_stays_one_segment_of_the_path() {
        assert_eq!(path_and_query("/v1/admin/keys/abc/rotate"), "/v1/admin/keys/abc/rotate?a=1");
        assert_eq!(path_and_query("/v1/admin/keys/a#b/rotate"), "/v1/admin/keys/a%23b/rotate?a=1");
        assert_eq!(path_and_query("/v1/admin/keys/../rotate"), "/v1/admin/keys/../rotate?a=1");
        assert_eq!(path_and_query("/v1/admin/keys/%41 é/rotate"), "/v1/admin/keys/%2541%20%C3%A9/rotate?a=1");
    }
}
