use http::Request;

use super::*;

fn event(request: http::request::Builder, body: &[u8]) -> Value {
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let parameters = BTreeMap::from([("PPass".to_owned(), "Demo".to_owned())]);
    let route = Match { function: "F".to_owned(), route_key: "GET /v1/{PPass}".to_owned(), parameters };
    Context::new(&parts, &route).event(body).unwrap()
}

#[test]
fn an_event_has_the_documented_shape() {
    let event = event(
        Request::get("http://localhost/v1/Demo%20A?a=1&a=%C3%A9&b=x+y&flag")
            .header("Host", "localhost:8080")
            .header("X-Multi", "one")
            .header("X-Multi", "two")
            .header("Cookie", "a=1; b=2")
            .header("User-Agent", "test")
            .header("Connection", "keep-alive"),
        b"",
    );
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "GET /v1/{PPass}");
    assert_eq!(event["rawPath"], "/v1/Demo A");
    assert_eq!(event["rawQueryString"], "a=1&a=%C3%A9&b=x+y&flag");
    assert_eq!(event["queryStringParameters"], json!({ "a": "1,é", "b": "x y", "flag": "" }));
    assert_eq!(event["pathParameters"], json!({ "PPass": "Demo" }));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"]["x-multi"], "one,two");
    assert_eq!(event["headers"]["x-forwarded-proto"], "http");
    assert_eq!(event["headers"]["x-forwarded-port"], "8080");
    assert!(event["headers"].get("cookie").is_none(), "cookies are in their own array");
    assert!(event["headers"].get("connection").is_none());
    assert!(event.get("body").is_none());
    let context = &event["requestContext"];
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["domainName"], "localhost");
    let http = json!({
        "method": "GET", "path": "/v1/Demo A", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
        "userAgent": "test",
    });
    assert_eq!(context["http"], http);
    assert!(context["timeEpoch"].is_i64() && context["requestId"].as_str().is_some_and(|id| id.len() == 16));
    let time = context["time"].as_str().unwrap();
    assert!(time.len() == 26 && time.ends_with(" +0000"), "{time}");
}

#[test]
fn a_text_body_stays_text_and_any_other_body_is_base64() {
    let post = || Request::post("http://localhost/v1/Demo").header("Host", "localhost");
    let json = event(post().header("Content-Type", "application/json; charset=utf-8"), b"{}");
    assert_eq!((json["body"].as_str(), &json["isBase64Encoded"]), (Some("{}"), &Value::Bool(false)));
    let broken = event(post().header("Content-Type", "application/json"), &[0xff]);
    assert_eq!((broken["body"].as_str(), &broken["isBase64Encoded"]), (Some("/w=="), &Value::Bool(true)));
    let unknown = event(post(), b"{}");
    assert_eq!((unknown["body"].as_str(), &unknown["isBase64Encoded"]), (Some("e30="), &Value::Bool(true)));
}

#[test]
fn a_path_that_is_not_utf_8_is_rejected() {
    let (parts, ()) = Request::get("http://localhost/v1/%ff").body(()).unwrap().into_parts();
    let route =
        Match { function: "F".to_owned(), route_key: "$default".to_owned(), parameters: BTreeMap::new() };
    assert_eq!(Context::new(&parts, &route).event(b""), None);
}

#[test]
fn a_decoded_question_mark_ends_the_path() {
    let event = event(Request::get("http://localhost/v1/a%3Fb/c?d=1").header("Host", "localhost"), b"");
    assert_eq!(event["rawPath"], "/v1/a");
    assert_eq!(event["rawQueryString"], "d=1");
}
