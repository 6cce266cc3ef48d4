//! A call through the portal's distribution has its viewer's address, if it really came through it.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Request},
    routing::get,
};
use serde_json::json;
use shared::{
    api::{Call, edge},
    app::{App, Parts},
    config::Config,
};
use tower::ServiceExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::office::{ADMIN_SECRET, EDGE_SECRET, Engine, Logs, OLD_EDGE_SECRET, Office, Reply, request_from};

/// An address of CloudFront, as API Gateway sees it.
pub(crate) const EDGE: &str = "198.51.100.7";
const VIEWER: &str = "203.0.113.9";

/// Returns the headers of a call through the distribution.
pub(crate) fn through_the_edge<'a>(viewer: &'a str, secret: &'a str) -> [(&'static str, &'a str); 2] {
    [("x-officepro-viewer-address", viewer), ("x-officepro-edge-secret", secret)]
}

/// Returns the caller's address that a handler sees, and the remaining headers.
pub(crate) async fn seen(app: &App, request: Request<lambda_http::Body>) -> (String, Vec<String>) {
    let tell = |call: Call, headers: HeaderMap| async move {
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        let address = call.address().map(|it| it.to_string()).unwrap_or_default();
        axum::Json(json!([address, names]))
    };
    let routes = edge(Router::new().route("/v1/where", get(tell)), app.clone());
    let response = routes.oneshot(request.map(Body::new)).await.unwrap();
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

async fn address_with(office: &Office, headers: &[(&str, &str)]) -> String {
    seen(&office.app, request_from(EDGE, "GET", "/v1/where", headers, None)).await.0
}

#[tokio::test]
async fn a_call_through_the_distribution_has_the_address_of_the_viewer() {
    let office = Office::open(Engine::Sqlite).await;
    for viewer in [VIEWER, "2001:db8:1::7", "::1"] {
        for secret in [EDGE_SECRET, OLD_EDGE_SECRET] {
            assert_eq!(address_with(&office, &through_the_edge(viewer, secret)).await, viewer);
        }
    }
    assert_eq!(address_with(&office, &[]).await, EDGE);
}

#[tokio::test]
async fn forwarded_addresses_without_the_edge_secret_are_ignored() {
    let office = Office::open(Engine::Sqlite).await;
    let almost = &EDGE_SECRET[..EDGE_SECRET.len() - 1];
    let doubled = format!("{EDGE_SECRET},{EDGE_SECRET}");
    for secret in ["", " ", almost, &format!("{EDGE_SECRET}x"), &EDGE_SECRET.to_uppercase(), &doubled, "null"]
    {
        assert_eq!(address_with(&office, &through_the_edge(VIEWER, secret)).await, EDGE, "{secret:?}");
    }
    let [viewer, secret] = through_the_edge(VIEWER, EDGE_SECRET);
    assert_eq!(address_with(&office, &[viewer]).await, EDGE);
    assert_eq!(address_with(&office, &[secret]).await, EDGE);
    for forwarded in ["x-forwarded-for", "x-real-ip", "forwarded", "cloudfront-viewer-address"] {
        assert_eq!(address_with(&office, &[secret, (forwarded, VIEWER)]).await, EDGE, "{forwarded}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_a_single_address_is_ignored() {
    let office = Office::open(Engine::Sqlite).await;
    for viewer in [
        "",
        "unknown",
        "203.0.113.9, 198.51.100.1",
        "203.0.113.9,203.0.113.9",
        "203.0.113.9:443",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "fe80::1%eth0",
        "203.0.113.009",
        "203.0.113.0/24",
        "203.0.113",
        "ä",
    ] {
        assert_eq!(address_with(&office, &through_the_edge(viewer, EDGE_SECRET)).await, EDGE, "{viewer:?}");
    }
}

#[tokio::test]
async fn a_duplicate_header_is_ignored() {
    let office = Office::open(Engine::Sqlite).await;
    for (name, value) in through_the_edge(VIEWER, EDGE_SECRET) {
        for first in [value, "203.0.113.66"] {
            let headers = through_the_edge(VIEWER, EDGE_SECRET);
            let mut request = request_from(EDGE, "GET", "/v1/where", &headers, None);
            request.headers_mut().insert(name, HeaderValue::from_str(first).unwrap());
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
            assert_eq!(seen(&office.app, request).await.0, EDGE, "{name}: {first}, {value}");
        }
    }
}

#[tokio::test]
async fn handlers_never_see_the_headers_of_the_distribution() {
    let office = Office::open(Engine::Sqlite).await;
    for secret in [EDGE_SECRET, "wrong"] {
        let mut headers = through_the_edge(VIEWER, secret).to_vec();
        headers.push(("accept", "*/*"));
        let request = request_from(EDGE, "GET", "/v1/where", &headers, None);
        assert_eq!(seen(&office.app, request).await.1, ["accept"]);
    }
}

#[tokio::test]
async fn a_function_without_an_edge_secret_trusts_no_header() {
    let office = Office::open(Engine::Sqlite).await;
    let config = Config { edge_secret: None, ..office.app.config.clone() };
    let app = App::new(Parts { config, clock: office.app.clock.clone(), ..Parts::from_env() });
    for secret in [EDGE_SECRET, ""] {
        let request = request_from(EDGE, "GET", "/v1/where", &through_the_edge(VIEWER, secret), None);
        assert_eq!(seen(&app, request).await.0, EDGE);
    }
}

#[tokio::test]
async fn the_networks_of_a_key_are_checked_against_the_viewer() {
    let office = Office::open(Engine::Sqlite).await;
    let id = shared::auth::api_key::ApiKey::parse(office.api_key("all")).unwrap().id;
    let mut record = office.app.control.api_key(&id).await.unwrap().unwrap();
    record.allowed_cidrs =
        ["203.0.113.0/24", "2001:db8:1::/48"].iter().map(|it| it.parse().unwrap()).collect();
    office.app.control.replace_api_key(&record).await.unwrap();
    let bearer = format!("Bearer {}", office.token("all").await);
    for (viewer, secret, status) in [
        (VIEWER, EDGE_SECRET, 200),
        ("2001:db8:1:2::7", EDGE_SECRET, 200),
        ("::ffff:203.0.113.9", EDGE_SECRET, 200),
        ("203.0.114.9", EDGE_SECRET, 401),
        ("2001:db8:2::7", EDGE_SECRET, 401),
        (EDGE, EDGE_SECRET, 401),
        (VIEWER, "forged", 401),
    ] {
        let mut headers = through_the_edge(viewer, secret).to_vec();
        headers.push(("authorization", &bearer));
        let reply = office.call("GET", "/v1/me", &headers, None).await;
        assert_eq!(reply.status, status, "{viewer} {secret}");
    }
    let body = json!({ "apiKey": office.api_key("all") }).to_string();
    for (viewer, status) in [(VIEWER, 200), ("203.0.114.9", 401)] {
        let mut headers = through_the_edge(viewer, EDGE_SECRET).to_vec();
        headers.push(("content-type", "application/json"));
        let reply = office.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await;
        assert_eq!(reply.status, status, "{viewer}");
    }
}

/// An attempt that is limited by address: path, body, a header.
type Try = (&'static str, &'static str, (&'static str, &'static str));

const TRIES: [Try; 5] = [
    ("/v1/DemoOffice/auth/token", r#"{"apiKey":"no key"}"#, ("accept", "*/*")),
    ("/v1/portal/session", r#"{"accessKey":"no secret"}"#, ("accept", "*/*")),
    ("/v1/admin/partners", "{}", ("x-admin-secret", "no secret")),
    (
        "/v1/access-requests",
        r#"{"company":"Nova","practice":"DemoOffice","contact":"Nia Bell","email":"nia@nova.example"}"#,
        ("accept", "*/*"),
    ),
    ("/v1/access-requests/claim", r#"{"token":"arq_none.guess"}"#, ("accept", "*/*")),
];

async fn attempt(office: &Office, (path, body, header): Try, viewer: &str, secret: &str) -> Reply {
    let mut headers = through_the_edge(viewer, secret).to_vec();
    headers.extend([header, ("content-type", "application/json")]);
    office.call_from(EDGE, "POST", path, &headers, Some(body)).await
}

#[tokio::test]
async fn attempts_are_counted_per_viewer() {
    let office = Office::open(Engine::Sqlite).await;
    for (number, one) in TRIES.into_iter().enumerate() {
        let first = format!("203.0.113.{number}");
        let mut tries = 0;
        while attempt(&office, one, &first, EDGE_SECRET).await.status != 429 {
            tries += 1;
            assert!(tries <= 30, "{}: no limit", one.0);
        }
        for other in [format!("203.0.114.{number}"), format!("2001:db8:{number}::1"), EDGE.to_owned()] {
            let reply = attempt(&office, one, &other, EDGE_SECRET).await;
            assert_ne!(reply.status, 429, "{}: {}", one.0, reply.body);
        }
    }
}

#[tokio::test]
async fn forged_addresses_give_no_additional_attempts() {
    for one in TRIES {
        let office = Office::open(Engine::Sqlite).await;
        let mut refused = false;
        for number in 0..32 {
            refused |= attempt(&office, one, &format!("203.0.113.{number}"), "forged").await.status == 429;
        }
        assert!(refused, "{}: 32 tries from one address", one.0);
    }
}

#[tokio::test]
async fn activity_and_audit_name_the_viewer_and_never_the_secret() {
    let logs = Logs::default();
    let _subscribed = logs.filtered("debug", Some("Tests")).set_default();
    let office = Office::open(Engine::Sqlite).await;
    let mut headers = through_the_edge(VIEWER, EDGE_SECRET).to_vec();
    headers.extend([("x-admin-secret", ADMIN_SECRET), ("x-request-id", "viewer-0001")]);
    office.call("GET", "/v1/admin/partners", &headers, None).await.expect(200);
    let unknown = office.call("GET", "/v1/admin/partners?no=1", &headers, None).await;
    unknown.expect_problem(400, "INVALID_QUERY");
    office.app.flush().await;
    let audit = office.admin("GET", "/v1/admin/audit?limit=2", None).await;
    let activity = office.admin("GET", "/v1/admin/activity?limit=100", None).await;
    for row in audit.expect(200)["data"].as_array().unwrap() {
        assert_eq!(row["ip"], VIEWER);
    }
    let rows = activity.expect(200)["data"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|it| it["ip"] == VIEWER).count(), 2, "{rows:?}");
    let told = [unknown.body.to_string(), audit.body.to_string(), activity.body.to_string(), logs.text()];
    for text in told {
        assert!(!text.contains(EDGE_SECRET) && !text.contains("x-officepro-"), "{text}");
    }
}
