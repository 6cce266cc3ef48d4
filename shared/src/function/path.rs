//! Restores the path of a request as API Gateway matched it.

use axum::http::{Uri, uri::PathAndQuery};
use lambda_http::{Request, RequestExt, aws_lambda_events::query_map::QueryMap, request::RequestContext};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded::Serializer;

/// The characters to percent-encode in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The characters to percent-encode in a path: the same, except for `/`.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Encodes the path again, because API Gateway decodes it.
///
/// Otherwise, a `#` or `?` in an id would end the path, and `..` would climb up in it, so that the
/// request would match a route other than API Gateway's.
pub(super) fn keep(mut request: Request) -> Request {
    let path =
        matched(&request).unwrap_or_else(|| utf8_percent_encode(request.raw_http_path(), PATH).to_string());
    if path.starts_with('/') && path != request.uri().path() {
        // A `#` in the path has also cut off the query.
        let parameters = request.query_string_parameters();
        let query = Serializer::new(String::new()).extend_pairs(parameters.iter()).finish();
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        if let Ok(target) = target.parse::<PathAndQuery>() {
            *request.uri_mut() = Uri::from(target);
        }
    }
    request
}

/// Fills the parameters into the route that API Gateway chose; `None` for the default route.
fn matched(request: &Request) -> Option<String> {
    let RequestContext::ApiGatewayV2(context) = request.request_context_ref()? else { return None };
    let (_, template) = context.route_key.as_deref()?.split_once(' ')?;
    let parameters = request.path_parameters();
    template
        .split('/')
        .map(|segment| filled(segment, &parameters))
        .collect::<Option<Vec<_>>>()
        .map(|it| it.join("/"))
}

fn filled(segment: &str, parameters: &QueryMap) -> Option<String> {
    let Some(name) = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
        return Some(segment.to_owned());
    };
    let (name, allowed) = name.strip_suffix('+').map_or((name, SEGMENT), |greedy| (greedy, PATH));
    parameters.first(name).map(|value| utf8_percent_encode(value, allowed).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn path_and_query(raw_path: &str) -> String {
        routed("$default", raw_path, &json!({}))
    }

    fn routed(route_key: &str, raw_path: &str, parameters: &Value) -> String {
        let event = json!({
            "version": "2.0", "routeKey": route_key, "rawPath": raw_path, "rawQueryString": "a=1",
            "headers": { "host": "api.example.com" }, "isBase64Encoded": false, "pathParameters": parameters,
            "requestContext": { "stage": "$default", "routeKey": route_key, "http": {
                "method": "POST", "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                    "userAgent": "",
            } },
        });
        let request = keep(lambda_http::request::from_str(&event.to_string()).unwrap());
        request.uri().path_and_query().unwrap().to_string()
    }

    #[test]
    fn an_id_with_any_characters_stays_one_path_segment() {
        assert_eq!(path_and_query("/v1/admin/keys/abc/rotate"), "/v1/admin/keys/abc/rotate?a=1");
        assert_eq!(path_and_query("/v1/admin/keys/a#b/rotate"), "/v1/admin/keys/a%23b/rotate?a=1");
        assert_eq!(path_and_query("/v1/admin/keys/../rotate"), "/v1/admin/keys/../rotate?a=1");
        assert_eq!(path_and_query("/v1/admin/keys/%41 é/rotate"), "/v1/admin/keys/%2541%20%C3%A9/rotate?a=1");
    }

    #[test]
    fn a_request_goes_to_the_route_that_api_gateway_chose() {
        // The raw path ends at a decoded question mark; the parameter does not.
        let id = json!({ "id": "a?b/c" });
        let path = routed("POST /v1/admin/keys/{id}/revoke", "/v1/admin/keys/a", &id);
        assert_eq!(path, "/v1/admin/keys/a%3Fb%2Fc/revoke?a=1");
        let file = json!({ "proxy": "css/a b.css" });
        assert_eq!(routed("GET /portal/{proxy+}", "/portal/css/a b.css", &file), "/portal/css/a%20b.css?a=1");
        assert_eq!(routed("GET /v1/{PPass}/tags", "/v1/Demo/tags", &json!({})), "/v1/Demo/tags?a=1");
    }
}
