//! Signing in to the portal, and what its cookie permits.

use serde_json::{Value, json};

use crate::office::{ADMIN_SECRET, Engine, OLD_ADMIN_SECRET, Office, Reply};

const SESSION: &str = "/v1/portal/session";
const ORIGIN: &str = "https://portal.example.com";

async fn sign_in(office: &Office, access_key: &str) -> Reply {
    let body = json!({ "accessKey": access_key }).to_string();
    let headers = [("content-type", "application/json"), ("host", "portal.example.com")];
    office.call("POST", SESSION, &headers, Some(&body)).await
}

/// Returns what the browser sends back.
fn cookie(reply: &Reply) -> String {
    reply.expect(201);
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn get(office: &Office, cookie: &str, path: &str) -> Reply {
    office.call("GET", path, &[("cookie", cookie), ("host", "portal.example.com")], None).await
}

/// Makes a changing call as the portal does.
async fn change(office: &Office, cookie: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let headers = [
        ("cookie", cookie),
        ("host", "portal.example.com"),
        ("origin", ORIGIN),
        ("x-requested-with", "portal"),
        ("content-type", "application/json"),
    ];
    office.call(method, path, &headers, body.map(Value::to_string).as_deref()).await
}

#[tokio::test]
async fn the_cookie_is_inaccessible_to_scripts_other_sites_and_other_hosts() {
    let office = Office::open(Engine::Sqlite).await;
    let reply = sign_in(&office, office.api_key("all")).await;
    let set = reply.header("set-cookie");
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict; Max-Age=28800; Secure");
    let value = pair.strip_prefix("__Host-portal-session=").unwrap();
    assert_eq!(value.len(), 43, "256 bits");
    let data = &reply.expect(201)["data"];
    assert_eq!((&data["role"], &data["practicepass"]), (&json!("partner"), &json!("DemoOffice")));
    assert_eq!(data["expiresAt"], "2026-03-09T12:15:00Z");
    assert!(!reply.body.to_string().contains("op_live"));
    let admin = sign_in(&office, ADMIN_SECRET).await;
    assert_eq!(admin.expect(201)["data"]["role"], "admin");
    assert_ne!(cookie(&admin), cookie(&reply));
}

#[tokio::test]
async fn a_wrong_key_is_an_invalid_access_key() {
    let office = Office::open(Engine::Sqlite).await;
    for wrong in ["x", &ADMIN_SECRET[1..], "op_live_a_b_c"] {
        let reply = sign_in(&office, wrong).await;
        reply.expect_problem(401, "INVALID_ACCESS_KEY");
        assert_eq!(reply.body["detail"], "Invalid access key");
        assert!(reply.headers.get("set-cookie").is_none());
    }
}

#[tokio::test]
async fn repeated_sign_in_attempts_are_limited() {
    let office = Office::open(Engine::Sqlite).await;
    for _ in 0..10 {
        sign_in(&office, "a guess at the admin secret").await.expect_problem(401, "INVALID_ACCESS_KEY");
    }
    sign_in(&office, "a guess at the admin secret").await.expect_problem(429, "RATE_LIMITED");
    let header = [("x-admin-secret", "a guess at the admin secret")];
    office.call("GET", "/v1/admin/audit", &header, None).await.expect_problem(429, "RATE_LIMITED");
}

#[tokio::test]
async fn a_partner_session_acts_as_its_key() {
    let office = Office::open(Engine::Sqlite).await;
    let cookie = cookie(&sign_in(&office, office.api_key("prospects")).await);
    assert_eq!(get(&office, &cookie, "/v1/me").await.expect(200)["data"]["key"]["name"], "prospects");
    get(&office, &cookie, "/v1/DemoOffice/tags").await.expect(200);
    get(&office, &cookie, "/v1/DemoOffice/visit-types").await.expect_problem(403, "INSUFFICIENT_SCOPE");
    get(&office, &cookie, "/v1/OtherOffice/tags").await.expect_problem(404, "NOT_FOUND");
    get(&office, &cookie, "/v1/admin/audit").await.expect_problem(401, "INVALID_ADMIN_SECRET");
    assert_eq!(get(&office, &cookie, SESSION).await.expect(200)["data"]["scopes"], json!(["Prospects"]));
}

#[tokio::test]
async fn an_admin_session_opens_the_admin_operations_and_is_audited() {
    let office = Office::open(Engine::Sqlite).await;
    let cookie = cookie(&sign_in(&office, ADMIN_SECRET).await);
    get(&office, &cookie, "/v1/me").await.expect_problem(401, "UNAUTHENTICATED");
    let body = json!({ "company": "By cookie" });
    change(&office, &cookie, "POST", "/v1/admin/partners", Some(&body)).await.expect(201);
    let log = get(&office, &cookie, "/v1/admin/audit").await;
    let mut used: Vec<(&str, &str)> = log.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["action"].as_str().unwrap(), row["credential"].as_str().unwrap()))
        .collect();
    used.sort_unstable();
    assert_eq!(used, [("partners.create", "session"), ("portal.sign-in", "current")]);
}

#[tokio::test]
async fn a_change_with_a_cookie_must_come_from_the_portal() {
    let office = Office::open(Engine::Sqlite).await;
    let partner = cookie(&sign_in(&office, office.api_key("all")).await);
    let admin = cookie(&sign_in(&office, ADMIN_SECRET).await);
    let foreign: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-requested-with", "portal")],
        &[("origin", ORIGIN)],
        &[("x-requested-with", "portal"), ("origin", "https://evil.example")],
        &[("x-requested-with", "portal"), ("origin", "null")],
        &[("x-requested-with", "XMLHttpRequest"), ("origin", ORIGIN)],
    ];
    for headers in foreign {
        for (cookie, method, path) in [
            (&partner, "PATCH", "/v1/me"),
            (&admin, "POST", "/v1/admin/partners"),
            (&partner, "DELETE", SESSION),
        ] {
            let mut all = vec![
                ("cookie", cookie.as_str()),
                ("host", "portal.example.com"),
                ("content-type", "application/json"),
            ];
            all.extend_from_slice(headers);
            let reply = office.call(method, path, &all, Some(r#"{"company":"Evil"}"#)).await;
            reply.expect_problem(403, "CROSS_SITE_REFUSED");
        }
    }
    let body = json!({ "company": "Fine" });
    change(&office, &partner, "PATCH", "/v1/me", Some(&body)).await.expect(200);
    let token = office.token("all").await;
    office.send(&token, "PATCH", "/v1/me", Some(&body)).await.expect(200);
    office.admin("POST", "/v1/admin/partners", Some(&body)).await.expect(201);
}

#[tokio::test]
async fn an_authorization_header_takes_precedence_over_the_cookie() {
    let office = Office::open(Engine::Sqlite).await;
    let cookie = cookie(&sign_in(&office, office.api_key("all")).await);
    let token = format!("Bearer {}", office.token("other").await);
    let call = async |authorization: &str| {
        office.call("GET", "/v1/me", &[("cookie", &cookie), ("authorization", authorization)], None).await
    };
    assert_eq!(call(&token).await.expect(200)["data"]["key"]["practicepass"], "OtherOffice");
    call("Bearer nonsense").await.expect_problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn an_idle_session_ends_after_15_minutes_and_an_active_one_after_8_hours() {
    let office = Office::open(Engine::Sqlite).await;
    let idle = cookie(&sign_in(&office, office.api_key("all")).await);
    let used = cookie(&sign_in(&office, office.api_key("all")).await);
    let start: jiff::Timestamp = crate::office::NOW.parse().unwrap();
    for minute in (14..480).step_by(14) {
        office.set_time(&(start + jiff::SignedDuration::from_mins(minute)).to_string());
        get(&office, &used, SESSION).await.expect(200);
    }
    get(&office, &idle, SESSION).await.expect_problem(401, "UNAUTHENTICATED");
    office.set_time("2026-03-09T19:59:59Z");
    assert_eq!(get(&office, &used, SESSION).await.expect(200)["data"]["expiresAt"], "2026-03-09T20:00:00Z");
    office.set_time("2026-03-09T20:00:00Z");
    get(&office, &used, SESSION).await.expect_problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn session_activity_is_stored_at_most_once_a_minute() {
    let office = Office::open(Engine::Sqlite).await;
    let cookie = cookie(&sign_in(&office, office.api_key("all")).await);
    office.set_time("2026-03-09T12:00:59Z");
    assert_eq!(get(&office, &cookie, SESSION).await.expect(200)["data"]["expiresAt"], "2026-03-09T12:15:00Z");
    office.set_time("2026-03-09T12:01:00Z");
    assert_eq!(get(&office, &cookie, SESSION).await.expect(200)["data"]["expiresAt"], "2026-03-09T12:16:00Z");
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let office = Office::open(Engine::Sqlite).await;
    let cookie = cookie(&sign_in(&office, office.api_key("all")).await);
    let reply = change(&office, &cookie, "DELETE", SESSION, None).await;
    reply.expect(200);
    assert!(
        reply.header("set-cookie").starts_with("__Host-portal-session=; ")
            && reply.header("set-cookie").contains("Max-Age=0")
    );
    get(&office, &cookie, "/v1/me").await.expect_problem(401, "UNAUTHENTICATED");
    get(&office, &cookie, SESSION).await.expect_problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_session_ends_within_60_seconds_of_its_key() {
    let office = Office::open(Engine::Sqlite).await;
    let cookie = cookie(&sign_in(&office, office.api_key("all")).await);
    get(&office, &cookie, "/v1/me").await.expect(200);
    let id = shared::auth::api_key::ApiKey::parse(office.api_key("all")).unwrap().id;
    office
        .admin("POST", &format!("/v1/admin/keys/{id}/rotate"), Some(&json!({ "overlap": "0" })))
        .await
        .expect(200);
    office.set_time("2026-03-09T12:00:59Z");
    get(&office, &cookie, "/v1/me").await.expect_problem(401, "UNAUTHENTICATED");
    get(&office, &cookie, SESSION).await.expect_problem(401, "UNAUTHENTICATED");
    sign_in(&office, office.api_key("all")).await.expect_problem(401, "INVALID_ACCESS_KEY");
}

#[tokio::test]
async fn the_previous_secret_signs_in_and_forged_cookies_do_not() {
    let office = Office::open(Engine::Sqlite).await;
    let old = cookie(&sign_in(&office, OLD_ADMIN_SECRET).await);
    get(&office, &old, "/v1/admin/audit").await.expect(200);
    let forged = format!("__Host-portal-session={}", "A".repeat(43));
    let doubled = format!("{old}; {forged}");
    let local = old.replace("__Host-", "");
    for wrong in [forged.as_str(), &doubled, &local, "__Host-portal-session=", "__Host-portal-session=x"] {
        get(&office, wrong, "/v1/admin/audit").await.expect_problem(401, "INVALID_ADMIN_SECRET");
        get(&office, wrong, SESSION).await.expect_problem(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn signing_in_again_ends_the_previous_session_of_the_browser() {
    let office = Office::open(Engine::Sqlite).await;
    let other = cookie(&sign_in(&office, office.api_key("all")).await);
    for access_key in [office.api_key("all"), ADMIN_SECRET] {
        let first = cookie(&sign_in(&office, access_key).await);
        get(&office, &first, SESSION).await.expect(200);
        let again = json!({ "accessKey": access_key });
        let second = cookie(&change(&office, &first, "POST", SESSION, Some(&again)).await);
        get(&office, &first, SESSION).await.expect_problem(401, "UNAUTHENTICATED");
        get(&office, &second, SESSION).await.expect(200);
        // A failed sign-in ends no session.
        change(&office, &second, "POST", SESSION, Some(&json!({ "accessKey": "x" })))
            .await
            .expect_problem(401, "INVALID_ACCESS_KEY");
        get(&office, &second, SESSION).await.expect(200);
    }
    get(&office, &other, SESSION).await.expect(200);
}
