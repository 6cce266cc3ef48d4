//! Access control: every route of the description with every kind of wrong credential and hostile
//! path.

use serde_json::{Value, json};
use shared::domain::Scope;

use crate::office::{ADMIN_SECRET, Engine, Office, Reply};

struct Route {
    method: String,
    path: String,
    open: bool,
    /// Whether only administrators may call it.
    admin: bool,
}

impl Route {
    /// The path with its practice and all other parameters filled in.
    fn filled(&self, practice: &str, id: &str) -> String {
        let segments = self.path.split('/').map(|segment| match segment {
            "{PPass}" => practice,
            segment if segment.starts_with('{') => id,
            segment => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn of_practice(&self) -> bool {
        self.path.contains("{PPass}")
    }
}

fn routes() -> Vec<Route> {
    let description = crate::described::described();
    let mut routes = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let open = operation["security"] == json!([]);
            let admin = operation["security"].to_string().contains("adminSecret");
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), open, admin });
        }
    }
    assert!(routes.len() > 30);
    routes
}

/// Removes what may differ between two responses that must look the same.
fn without_ids(reply: &Reply) -> Value {
    let mut body = reply.body.clone();
    for member in ["requestId", "instance"] {
        body.as_object_mut().unwrap().remove(member);
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_except_the_public_ones_needs_a_valid_token() {
    let office = Office::open(Engine::Sqlite).await;
    let forged = office.token("all").await.replace('.', "x.");
    for route in routes().iter().filter(|it| !it.open && !it.admin) {
        let path = route.filled("DemoOffice", "1");
        let reply = office.call(&route.method, &path, &[], None).await;
        reply.expect_problem(401, "UNAUTHENTICATED");
        assert_eq!(reply.header("www-authenticate"), "Bearer", "RFC 6750, section 3.1: no error ({path})");
        for token in ["", "x", "a.b.c", &forged] {
            let reply = office.send(token, &route.method, &path, Some(&json!({}))).await;
            reply.expect_problem(401, "UNAUTHENTICATED");
            assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{path}");
        }
    }
    let open: Vec<String> = routes().into_iter().filter(|it| it.open).map(|it| it.path).collect();
    let expected = [
        "/v1/access-requests",
        "/v1/access-requests/claim",
        "/v1/health",
        "/v1/openapi.json",
        "/v1/portal/session",
        "/v1/{PPass}/auth/token",
    ];
    assert_eq!(open, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_admin_route_accepts_only_the_admin_secret() {
    let office = Office::open(Engine::Sqlite).await;
    let bearer = format!("Bearer {}", office.token("all").await);
    let admin_routes: Vec<Route> = routes().into_iter().filter(|it| it.admin).collect();
    assert!(admin_routes.len() > 20);
    for (minute, route) in admin_routes.iter().enumerate() {
        // Attempts are limited per minute.
        office.set_time(&format!("2026-03-09T12:{minute:02}:00Z"));
        let path = route.filled("DemoOffice", "1");
        let as_bearer = format!("Bearer {ADMIN_SECRET}");
        let headers: [&[(&str, &str)]; 6] = [
            &[],
            &[("authorization", &bearer)],
            &[("authorization", &as_bearer)],
            &[("x-admin-secret", "")],
            &[("x-admin-secret", &ADMIN_SECRET[1..])],
            &[("x-admin-secret", office.api_key("all"))],
        ];
        for wrong in headers {
            let reply = office.call(&route.method, &path, wrong, None).await;
            reply.expect_problem(401, "INVALID_ADMIN_SECRET");
            assert_eq!(reply.header("www-authenticate"), "AdminSecret", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_practice_looks_like_a_nonexistent_one() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    for route in routes().iter().filter(|it| !it.open && it.of_practice()) {
        let send = async |practice| {
            office.send(&token, &route.method, &route.filled(practice, "1"), Some(&json!({}))).await
        };
        let (other, unknown) = (send("OtherOffice").await, send("NoSuchOffice").await);
        other.expect_problem(404, "NOT_FOUND");
        assert_eq!(without_ids(&other), without_ids(&unknown), "{} {}", route.method, route.path);
        let headers = |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(headers(&other), headers(&unknown));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_of_a_practice_needs_its_scope() {
    let office = Office::open(Engine::Sqlite).await;
    let (tickets, prospects) =
        (office.token_with(&[Scope::Tickets]).await, office.token_with(&[Scope::Prospects]).await);
    for route in routes().iter().filter(|it| !it.open && it.of_practice()) {
        let token = if route.path.contains("/ticket") { &prospects } else { &tickets };
        let path = route.filled("DemoOffice", "1");
        let reply = office.send(token, &route.method, &path, Some(&json!({}))).await;
        reply.expect_problem(403, "INSUFFICIENT_SCOPE");
        assert!(
            reply.header("www-authenticate").starts_with("Bearer error=\"insufficient_scope\""),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_path_values_return_400_or_404() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    let hostile = [
        "1.5",
        "abc",
        "99999999999999999999",
        "9223372036854775808",
        "%00",
        "%ff",
        "1%00",
        "%2e%2e%2f",
        "1;drop",
        "1'or'1'='1",
        "%F0%9F%92%89",
        "{id}",
        "%20",
        "1%2F..%2F2",
    ];
    for route in routes().iter().filter(|it| it.path.contains("id}") || it.path.contains("Id}")) {
        for value in hostile {
            let path = route.filled("DemoOffice", value);
            let body = if path.ends_with("/rotate") { json!({ "overlap": "0" }) } else { json!({}) };
            let reply = if route.admin {
                office.admin(&route.method, &path, Some(&body)).await
            } else {
                office.send(&token, &route.method, &path, Some(&body)).await
            };
            assert!(
                [400, 404].contains(&reply.status.as_u16()),
                "{} {path}: {} {}",
                route.method,
                reply.status,
                reply.body
            );
            assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
        }
    }
    for value in ["..", "%2e%2e", "a%2Fb", "%00", "'", "DemoOffice%20", "demooffice", "admin", "%ff"] {
        for route in routes().iter().filter(|it| !it.open && it.of_practice()) {
            let reply = office.send(&token, &route.method, &route.filled(value, "1"), Some(&json!({}))).await;
            reply.expect_problem(404, "NOT_FOUND");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_another_practice_looks_like_a_nonexistent_id() {
    let office = Office::open(Engine::Sqlite).await;
    crate::office::run_sql(
        &office.other_db,
        "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
             values (7777, 'Only', 'There', 'Only There', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');
         insert into providers (provider_id, name) values (7777, 'Only There');
         insert into tags (tag_id, name) values (7777, 'Only There');
         insert into tickets (ticket_id, subject, created_at, updated_at)
             values (7777, 'Only There', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');
         insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
         visit_duration,
                             provider_time, provider_duration, starts_at, ends_at, provider_starts_at, \
                             provider_ends_at,
                             created_at, updated_at)
             values (7777, 7777, 7777, 'FOLLOWUP', '2026-03-10', '09:00:00', 30, '09:00:00', 30, 1773129600, \
             1773131400,
                     1773129600, 1773131400, '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');",
    )
    .await;
    let (token, others) = (office.token("all").await, office.token("other").await);
    for route in routes().iter().filter(|it| it.of_practice() && it.path.contains("{id}")) {
        let query = match route.path.rsplit('/').next() {
            Some("check") => "?date=2026-03-10&time=09:00:00&duration=30",
            Some("slots") => "?date=2026-03-10&duration=30",
            Some("next-slot") => "?duration=30",
            _ => "",
        };
        let body = match route.path.as_str() {
            path if path.ends_with("/reschedule") => {
                json!({ "VisitDate": "2026-03-11", "VisitTime": "10:00:00" })
            }
            path if path.ends_with("/comment") => json!({ "Comment": "x" }),
            path if path.contains("/tags/") => json!({ "tagId": 1 }),
            path if path.contains("/prospects/") => json!({ "NickName": "x" }),
            _ => json!({}),
        };
        let send = async |id| {
            let path = format!("{}{query}", route.filled("DemoOffice", id));
            office.send(&token, &route.method, &path, Some(&body)).await
        };
        let (elsewhere, absent) = (send("7777").await, send("8888").await);
        // The record exists for its owner; otherwise two nonexistent ids would be compared.
        let path = format!("{}{query}", route.filled("OtherOffice", "7777"));
        let own = office.send(&others, &route.method, &path, Some(&body)).await;
        assert_ne!(own.status.as_u16(), 404, "{} {}: {}", route.method, route.path, own.body);
        assert_eq!(elsewhere.status.as_u16(), 404, "{} {}: {}", route.method, route.path, elsewhere.body);
        assert_eq!(without_ids(&elsewhere), without_ids(&absent), "{} {}", route.method, route.path);
    }
}
