//! What a reconciliation must not end, and losses that are easy to miss.

use jiff::SignedDuration;
use officepro_operator::reconcile::report::Verdict;
use serde_json::json;
use shared::{control::reconciliation::Counter, domain::ids::PartnerId};

use super::{
    LOSSES, Loss,
    control::{admin, back_up, claim, claim_link, new_key, restored},
    expect,
};
use crate::{
    office::{Engine, Office},
    webhooks::sign_up,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_lost_scopes_is_named_despite_a_later_change() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let (id, _) = new_key(&office, "narrowed").await;
        let path = format!("/v1/admin/keys/{id}");
        let backup = back_up(&office).await;
        admin(&office, "PATCH", &path, &json!({ "scopes": ["KB"] })).await;
        restored(&office, &backup, loss, false).await;
        office.a_minute_later();
        admin(&office, "PATCH", &path, &json!({ "name": "Renamed" })).await;
        let report = office.reconcile(None, Some(backup.1), true).await;
        let rows = expect(&report, "control/key-terms", Verdict::Manual);
        assert!(rows.len() == 1 && rows[0].contains(&id) && rows[0].contains("(scopes)"), "{rows:?}");
        office.a_minute_later();
        admin(&office, "PATCH", &path, &json!({ "scopes": ["KB"] })).await;
        expect(&office.reconcile(None, Some(backup.1), true).await, "control/key-terms", Verdict::Good);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_rotation_with_an_overlap_does_not_revive_a_replaced_secret() {
    for (overlap, ends) in [("7d", true), ("0", false)] {
        for loss in LOSSES {
            let office = Office::open(Engine::Sqlite).await;
            let (id, leaked) = new_key(&office, "leaked").await;
            let rotate = format!("/v1/admin/keys/{id}/rotate");
            let backup = back_up(&office).await;
            admin(&office, "POST", &rotate, &json!({ "overlap": "0" })).await;
            restored(&office, &backup, loss, false).await;
            office.a_minute_later();
            let renewed = admin(&office, "POST", &rotate, &json!({ "overlap": overlap })).await;
            let renewed = renewed["data"]["apiKey"].as_str().unwrap().to_owned();
            office.a_minute_later();
            assert_eq!(office.admits(&leaked).await, ends);
            office.reconcile(None, Some(backup.1), true).await;
            office.a_minute_later();
            assert!(!office.admits(&leaked).await, "{overlap} {loss:?}");
            assert_eq!(office.admits(&renewed).await, !ends, "{overlap} {loss:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_claim_links_survive_the_loss_of_a_used_one() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let (_, open) = claim_link(&office, "Nova Care").await;
        let (_, used) = claim_link(&office, "Vela Care").await;
        let backup = back_up(&office).await;
        claim(&office, &used).await.expect(201);
        let report = restored(&office, &backup, loss, true).await;
        assert_eq!(expect(&report, "control/claim-links", Verdict::Repaired).len(), 1);
        assert!(!claim(&office, &used).await.status.is_success());
        claim(&office, &open).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_subscription_does_not_return_with_its_old_address() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, "https://partner.example.com/old", &["Claims"]).await;
    let backup = back_up(&office).await;
    office.delete("/v1/webhooks").await.expect(200);
    office.later(SignedDuration::from_secs(1));
    sign_up(&office, "https://partner.example.com/new", &["Claims"]).await;
    let report = restored(&office, &backup, Loss::Everything, true).await;
    expect(&report, "control/subscriptions", Verdict::Repaired);
    let partner = PartnerId("prt_acme".into());
    let control = &office.app.control;
    assert!(control.subscription(office.db.practicepass(), &partner).await.unwrap().is_none());
    let rows = expect(&report, "control/subscriptions-lost", Verdict::Manual);
    assert!(rows[0].contains("sign up again"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_subscription_with_the_id_of_a_deleted_one_stays() {
    let office = Office::open(Engine::Sqlite).await;
    let backup = back_up(&office).await;
    sign_up(&office, "https://partner.example.com/first", &["Claims"]).await;
    office.later(SignedDuration::from_secs(1));
    admin(&office, "POST", "/v1/admin/webhooks/1/pause", &json!({})).await;
    office.admin("DELETE", "/v1/admin/webhooks/1", None).await.expect(200);
    restored(&office, &backup, Loss::Everything, false).await;
    office.a_minute_later();
    sign_up(&office, "https://partner.example.com/second", &["Claims"]).await;
    let report = office.reconcile(None, Some(backup.1), true).await;
    expect(&report, "control/subscriptions", Verdict::Good);
    let partner = PartnerId("prt_acme".into());
    let control = &office.app.control;
    let there = control.subscription(office.db.practicepass(), &partner).await.unwrap().unwrap();
    assert!(there.paused_at.is_none() && there.id.0 == 1);
    assert!(control.leased_up_to(Counter::Subscriptions).await.unwrap() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_sign_up_does_not_indicate_a_restore() {
    let office = Office::open(Engine::Sqlite).await;
    let at = office.app.clock.now();
    office.a_minute_later();
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "sign-up-1"),
    ];
    let body = json!({ "hookUrl": "https://partner.example.com/hook", "scopes": ["Claims"] }).to_string();
    let sign_up = async || office.call("POST", "/v1/webhooks/signup", &headers, Some(&body)).await;
    sign_up().await.expect(201);
    office.a_minute_later();
    assert_eq!(sign_up().await.header("idempotent-replayed"), "true");
    office.a_minute_later();
    let report = office.reconcile(None, Some(at), true).await;
    for id in ["control/subscriptions-lost", "control/answers", "control/ids"] {
        expect(&report, id, Verdict::Good);
    }
    assert_eq!(sign_up().await.header("idempotent-replayed"), "true");
}
