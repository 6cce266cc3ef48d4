//! Attempts at a secret are limited; callers that know it are not.

use futures::future::join_all;
use serde_json::json;
use shared::auth::api_key::{ApiKey, Mode};

use crate::office::{Engine, Office, Reply};

const HOME: &str = "198.51.100.7";

/// Returns the key with the secret that `secret` generates; all keys have one id.
fn key(secret: u8) -> String {
    let mut random = [secret; 48];
    random[..16].fill(7);
    ApiKey::from_random(Mode::Live, &random).reveal()
}

const RIGHT: u8 = 0;

/// Opens an office whose practice has the key [`RIGHT`].
async fn open() -> Office {
    let office = Office::open(Engine::Sqlite).await;
    let own = ApiKey::parse(office.api_key("all")).unwrap();
    let mut record = office.app.control.api_key(&own.id).await.unwrap().unwrap();
    let known = ApiKey::parse(&key(RIGHT)).unwrap();
    (record.id, record.secret_hash) = (known.id.clone(), known.secret_hash());
    office.app.control.create_api_key(&record).await.unwrap();
    office
}

async fn exchange(office: &Office, address: &str, key: &str) -> Reply {
    let body = json!({ "apiKey": key }).to_string();
    let headers = [("content-type", "application/json")];
    office.call_from(address, "POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_wrong_guesses_gets_at_most_the_limit_of_replies() {
    let office = open().await;
    let guesses: Vec<String> = (1..=200).map(key).collect();
    let replies = join_all(guesses.iter().map(|it| exchange(&office, HOME, it))).await;
    let answered = replies.iter().filter(|it| it.status == 401).count();
    let refused = replies.iter().filter(|it| it.status == 429).count();
    assert_eq!(answered + refused, 200);
    assert!((1..=10).contains(&answered), "{answered} guesses were answered");
    // Rejected attempts were not counted: the rest of the ten still get a reply, and no more.
    let mut later = 0;
    for wrong in &guesses[..20] {
        later += usize::from(exchange(&office, HOME, wrong).await.status == 401);
    }
    assert_eq!(answered + later, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_at_many_keys_from_one_address_are_limited() {
    let office = Office::open(Engine::Sqlite).await;
    let keys: Vec<String> = (0..60).map(|n| ApiKey::from_random(Mode::Live, &[n; 48]).reveal()).collect();
    let replies = join_all(keys.iter().map(|it| exchange(&office, HOME, it))).await;
    assert!(replies.iter().filter(|it| it.status == 401).count() <= 30);
    exchange(&office, HOME, "no key at all").await.expect_problem(429, "RATE_LIMITED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn successful_exchanges_are_not_limited() {
    let office = open().await;
    let key = key(RIGHT);
    for _ in 0..40 {
        exchange(&office, HOME, &key).await.expect(200);
    }
    // This environment has forgotten the partner; the store has not.
    office.set_time("2026-03-09T12:10:00Z");
    for reply in join_all((0..60).map(|_| exchange(&office, HOME, &key))).await {
        reply.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attackers_cannot_lock_out_a_partner() {
    let office = open().await;
    for wrong in 1..=12 {
        exchange(&office, "203.0.113.1", &key(wrong)).await;
    }
    exchange(&office, HOME, &key(RIGHT)).await.expect(200);
    office.set_time("2026-03-09T12:10:00Z");
    for stranger in 0..12 {
        let address = format!("203.0.113.{stranger}");
        let guesses: Vec<String> = (1..=10).map(key).collect();
        join_all(guesses.iter().map(|it| exchange(&office, &address, it))).await;
    }
    exchange(&office, HOME, &key(RIGHT)).await.expect(200);
}

/// As many wrong secrets as the local limits admit, from unrelated networks.
async fn attack(office: &Office, networks: u16, one: impl AsyncFn(&str, u8)) {
    for network in 0..networks {
        let address = format!("2001:db8:{network:x}::1");
        join_all((1..=10).map(|wrong| one(&address, wrong))).await;
    }
    office.app.flush().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distributed_attack_does_not_block_a_valid_key_at_a_new_address() {
    let office = open().await;
    attack(&office, 13, async |address, wrong| {
        exchange(&office, address, &key(wrong)).await.expect_problem(401, "INVALID_API_KEY");
    })
    .await;
    for new in ["192.0.2.1", "2001:db8:ffff::1"] {
        exchange(&office, new, &key(RIGHT)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distributed_attack_does_not_lock_out_administrators() {
    let office = Office::open(Engine::Sqlite).await;
    let call = async |address: &str, secret: &str| {
        office.call_from(address, "GET", "/v1/admin/audit", &[("x-admin-secret", secret)], None).await
    };
    attack(&office, 11, async |address, wrong| {
        call(address, &format!("wrong-{wrong}")).await.expect_problem(401, "INVALID_ADMIN_SECRET");
    })
    .await;
    for new in ["192.0.2.1", "2001:db8:ffff::1"] {
        call(new, crate::office::ADMIN_SECRET).await.expect(200);
    }
    office.set_time("2026-03-09T12:05:00Z");
    let log = call("192.0.2.1", crate::office::ADMIN_SECRET).await;
    let refused = log.expect(200)["data"].as_array().unwrap().iter();
    let refused = refused.filter(|row| row["action"] == "admin-secret.refused").count();
    assert_eq!(refused, 11, "one for each network and minute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_subnets_of_one_site_share_a_limit() {
    let office = Office::open(Engine::Sqlite).await;
    let mut answered = 0;
    for network in 0..20 {
        for wrong in 0..10 {
            let address = format!("2001:db8:1:{:x}::1", network << 8);
            let secret = format!("wrong-{wrong}");
            let headers = [("x-admin-secret", secret.as_str())];
            let reply = office.call_from(&address, "GET", "/v1/admin/audit", &headers, None).await;
            answered += usize::from(reply.status == 401);
        }
    }
    assert_eq!(answered, 100);
}

#[tokio::test]
async fn a_mistyped_key_at_the_portal_counts_as_an_attempt() {
    let office = Office::open(Engine::Sqlite).await;
    let mut mistyped = office.api_key("all").to_owned();
    mistyped.pop();
    let sign_in = async |text: &str| {
        let body = json!({ "accessKey": text }).to_string();
        let headers = [("content-type", "application/json")];
        office.call_from(HOME, "POST", "/v1/portal/session", &headers, Some(&body)).await
    };
    for _ in 0..30 {
        sign_in(&mistyped).await.expect_problem(401, "INVALID_ACCESS_KEY");
    }
    sign_in(&mistyped).await.expect_problem(429, "RATE_LIMITED");
    // No attempt at the admin secret was counted or audited.
    sign_in(crate::office::ADMIN_SECRET).await.expect(201);
    let log = office.admin("GET", "/v1/admin/audit", None).await;
    assert!(
        log.expect(200)["data"].as_array().unwrap().iter().all(|row| row["action"] != "admin-secret.refused")
    );
    office.app.flush().await;
    let records = office.app.control.calls_of_hour("2026-03-09T12").await.unwrap();
    let id = ApiKey::parse(office.api_key("all")).unwrap().id.to_string();
    let tried = records.iter().filter(|it| it.attempted_key_id.as_ref() == Some(&id)).count();
    assert_eq!(tried, 31, "each shows the key that was tried");
    let secret = office.api_key("all").split('_').nth(3).unwrap();
    assert!(!format!("{records:?}").contains(secret));
}
