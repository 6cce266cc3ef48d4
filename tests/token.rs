//! Exchanging a key for a token, and what tokens permit.

use serde_json::json;
use shared::auth::api_key::{ApiKey, Mode};

use crate::office::{Engine, Office};

#[tokio::test]
async fn a_key_is_exchanged_for_a_token_with_the_documented_shape() {
    let office = Office::open(Engine::Sqlite).await;
    let body = json!({ "apiKey": office.api_key("all") }).to_string();
    let headers = [("content-type", "application/json")];
    let reply = office.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await;
    let answer = reply.expect(200);
    assert_eq!((&answer["tokenType"], &answer["expiresIn"]), (&json!("Bearer"), &json!("24h")));
    assert_eq!(answer["expiresAt"], "2026-03-10T12:00:00Z");
    assert_eq!(answer.as_object().unwrap().len(), 4);
    let token = answer["accessToken"].as_str().unwrap();
    office.send(token, "GET", "/v1/me", None).await.expect(200);
}

/// `expiresIn` is the reference's and never changes; `expiresAt` is when the token really ends.
#[tokio::test]
async fn expires_at_is_when_the_token_ends_also_if_its_key_ends_sooner() {
    let office = Office::open(Engine::Sqlite).await;
    let id = ApiKey::parse(office.api_key("all")).unwrap().id;
    let original = office.app.control.api_key(&id).await.unwrap().unwrap();
    let old_until = |until: &str| {
        let mut key = original.clone();
        let new = ApiKey::from_random(Mode::Live, &[9; 48]);
        key.rotate(&new, Some(until.parse().unwrap()), office.app.clock.now());
        key
    };
    let expiring = |until: &str| {
        let mut key = original.clone();
        key.expires_at = Some(until.parse().unwrap());
        key
    };
    let cases = [
        (original.clone(), "2026-03-10T12:00:00Z"),
        (expiring("2026-03-09T12:10:00Z"), "2026-03-09T12:10:00Z"),
        (expiring("2026-03-10T13:00:00Z"), "2026-03-10T12:00:00Z"),
        // The office's key is the old secret of this one.
        (old_until("2026-03-09T12:20:00Z"), "2026-03-09T12:20:00Z"),
    ];
    for (key, end) in cases {
        office.set_time("2026-03-09T12:00:00Z");
        office.app.control.replace_api_key(&key).await.unwrap();
        office.app.keys.forget_partner(&key.partner_id);
        let body = json!({ "apiKey": office.api_key("all") }).to_string();
        let headers = [("content-type", "application/json")];
        let reply = office.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await;
        let answer = reply.expect(200);
        assert_eq!((&answer["expiresAt"], &answer["expiresIn"]), (&json!(end), &json!("24h")));
        let token = answer["accessToken"].as_str().unwrap();
        let end: jiff::Timestamp = end.parse().unwrap();
        office.set_time(&(end - jiff::SignedDuration::from_secs(1)).to_string());
        office.send(token, "GET", "/v1/me", None).await.expect(200);
        office.set_time(&end.to_string());
        office.send(token, "GET", "/v1/me", None).await.expect_problem(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_wrong_key_returns_401_and_a_key_of_another_practice_404() {
    let office = Office::open(Engine::Sqlite).await;
    let exchange = async |practice: &str, key: &str| {
        let body = json!({ "apiKey": key }).to_string();
        let path = format!("/v1/{practice}/auth/token");
        office.call("POST", &path, &[("content-type", "application/json")], Some(&body)).await
    };
    let mut altered = office.api_key("all").to_owned();
    altered.replace_range(21..22, if &altered[21..22] == "A" { "B" } else { "A" });
    for key in ["x", "op_live_a_b_c", &altered] {
        exchange("DemoOffice", key).await.expect_problem(401, "INVALID_API_KEY");
        exchange("Nowhere", key).await.expect_problem(401, "INVALID_API_KEY");
    }
    let key = office.api_key("all");
    let other = exchange("OtherOffice", key).await;
    let unknown = exchange("Nowhere", key).await;
    other.expect_problem(404, "NOT_FOUND");
    for member in ["type", "title", "status", "detail", "code"] {
        assert_eq!(other.body[member], unknown.body[member]);
    }
}

#[tokio::test]
async fn attempts_at_a_key_are_limited_to_ten_a_minute() {
    let office = Office::open(Engine::Sqlite).await;
    // The first 16 bytes are the id, the others the secret: these are attempts at one key.
    let guess = |n: u8| {
        let mut random = [n; 48];
        random[..16].fill(7);
        ApiKey::from_random(Mode::Live, &random).reveal()
    };
    let exchange = async |key: String| {
        let body = json!({ "apiKey": key }).to_string();
        office
            .call("POST", "/v1/DemoOffice/auth/token", &[("content-type", "application/json")], Some(&body))
            .await
    };
    for n in 0..10 {
        exchange(guess(n)).await.expect_problem(401, "INVALID_API_KEY");
    }
    let refused = exchange(guess(10)).await;
    refused.expect_problem(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), "60");
    exchange(office.api_key("all").to_owned()).await.expect(200);
    office.set_time("2026-03-09T12:01:00Z");
    exchange(guess(11)).await.expect_problem(401, "INVALID_API_KEY");
}

#[tokio::test]
async fn tokens_of_a_revoked_key_end_within_60_seconds() {
    let office = Office::open(Engine::Sqlite).await;
    let token = office.token("all").await;
    office.send(&token, "GET", "/v1/me", None).await.expect(200);
    let id = ApiKey::parse(office.api_key("all")).unwrap().id;
    let mut record = office.app.control.api_key(&id).await.unwrap().unwrap();
    record.status = shared::auth::KeyStatus::Revoked;
    office.app.control.replace_api_key(&record).await.unwrap();
    office.set_time("2026-03-09T12:00:59Z");
    office.send(&token, "GET", "/v1/me", None).await.expect_problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_key_works_only_from_its_networks_and_until_it_expires() {
    let office = Office::open(Engine::Sqlite).await;
    let id = ApiKey::parse(office.api_key("all")).unwrap().id;
    let mut record = office.app.control.api_key(&id).await.unwrap().unwrap();
    record.allowed_cidrs = vec!["198.51.100.0/24".parse().unwrap()];
    record.expires_at = Some("2026-03-09T12:10:00Z".parse().unwrap());
    office.app.control.replace_api_key(&record).await.unwrap();
    let token = office.token("all").await;
    office.send(&token, "GET", "/v1/me", None).await.expect(200);
    office.set_time("2026-03-09T12:10:00Z");
    office.send(&token, "GET", "/v1/me", None).await.expect_problem(401, "UNAUTHENTICATED");
    record.expires_at = None;
    record.allowed_cidrs = vec!["203.0.113.0/24".parse().unwrap()];
    office.app.control.replace_api_key(&record).await.unwrap();
    office.set_time("2026-03-09T12:11:00Z");
    office.send(&token, "GET", "/v1/me", None).await.expect_problem(401, "UNAUTHENTICATED");
}
