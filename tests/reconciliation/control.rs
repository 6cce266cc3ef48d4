//! A control plane that is older than later changes to it.

use jiff::{SignedDuration, Timestamp};
use officepro_operator::{
    access,
    reconcile::report::{Report, Verdict},
};
use serde_json::{Value, json};
use shared::{
    auth::api_key::ApiKey,
    control::{Item, partners::PartnerStatus},
};

use super::{LOSSES, Loss, expect, id_of};
use crate::{
    office::{Engine, Office, Receiver, Reply, on_both_databases},
    pipeline::{deliver, poll},
    webhooks::sign_up,
};

/// Makes a backup and returns its moment; all that follows is later.
pub(super) async fn back_up(office: &Office) -> (Vec<Item>, Timestamp) {
    let at = office.app.clock.now();
    let backup = office.back_up_control().await;
    office.a_minute_later();
    (backup, at)
}

/// Restores the control plane to the backup, and reconciles it.
pub(super) async fn restored(
    office: &Office,
    (backup, at): &(Vec<Item>, Timestamp),
    loss: Loss,
    apply: bool,
) -> Report {
    office.a_minute_later();
    office.app.calls.flush(&office.app.control, std::time::Duration::from_mins(1)).await;
    office.restore_control(backup, loss).await;
    office.reconcile(None, Some(*at), apply).await
}

pub(super) async fn admin(office: &Office, method: &str, path: &str, body: &Value) -> Value {
    let reply = office.admin(method, path, Some(body)).await;
    assert!(reply.status.is_success(), "{path}: {}", reply.body);
    reply.body
}

pub(super) async fn new_key(office: &Office, name: &str) -> (String, String) {
    let key = json!({
        "partnerId": "prt_acme", "name": name, "practicepass": "DemoOffice", "scopes": ["Prospects"],
    });
    let made = admin(office, "POST", "/v1/admin/keys", &key).await;
    (id_of(&made), made["data"]["apiKey"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_after_the_backup_stays_revoked() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let (by_portal, first) = new_key(&office, "first").await;
        let (by_operator, second) = new_key(&office, "second").await;
        let (_, untouched) = new_key(&office, "third").await;
        let backup = back_up(&office).await;
        admin(&office, "POST", &format!("/v1/admin/keys/{by_portal}/revoke"), &json!({})).await;
        access::revoke_key(&office.app.control, &by_operator, office.app.clock.now()).await.unwrap();
        assert!(!office.admits(&first).await && !office.admits(&second).await);

        let report = restored(&office, &backup, loss, false).await;
        let rows = expect(&report, "control/keys", Verdict::Open);
        let named = |id: &String| rows.iter().any(|row| row.contains(id));
        assert!(rows.len() == 2 && named(&by_portal) && named(&by_operator), "{rows:?}");
        assert!(
            office.admits(&first).await && office.admits(&second).await,
            "restored, they live, and a dry run changes nothing"
        );
        let report = office.reconcile(None, Some(backup.1), true).await;
        expect(&report, "control/keys", Verdict::Repaired);
        assert_eq!(report.failures().count(), 0, "{}", report.markdown());
        office.a_minute_later();
        assert!(!office.admits(&first).await && !office.admits(&second).await);
        assert!(office.admits(&untouched).await);
        // The records of both actions are back, and a second run has nothing to do.
        let report = office.reconcile(None, Some(backup.1), true).await;
        expect(&report, "control/audit", Verdict::Good);
        expect(&report, "control/keys", Verdict::Good);
        let audit = office.admin("GET", "/v1/admin/audit?limit=100", None).await;
        let revoked = audit.expect(200)["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["action"] == "keys.revoke")
            .count();
        assert_eq!(revoked, 4, "both acts, and both repetitions");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_replaced_after_the_backup_ends_its_key() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let (id, old) = new_key(&office, "rotated").await;
        let backup = back_up(&office).await;
        admin(&office, "POST", &format!("/v1/admin/keys/{id}/rotate"), &json!({ "overlap": "0" })).await;
        let report = restored(&office, &backup, loss, true).await;
        let rows = expect(&report, "control/keys", Verdict::Repaired);
        assert!(rows[0].contains("the partner needs a new key"), "{rows:?}");
        office.a_minute_later();
        assert!(!office.admits(&old).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_suspended_after_the_backup_is_suspended_again() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let backup = back_up(&office).await;
        let key = office.api_key("all").to_owned();
        for suspended in [true, false] {
            let now = office.app.clock.now();
            admin(&office, "PATCH", "/v1/admin/partners/prt_acme", &json!({ "status": "suspended" })).await;
            access::set_partner_status(&office.app.control, "prt_other", PartnerStatus::Suspended, now)
                .await
                .unwrap();
            if !suspended {
                office.later(SignedDuration::from_secs(1));
                let now = office.app.clock.now();
                admin(&office, "PATCH", "/v1/admin/partners/prt_acme", &json!({ "status": "active" })).await;
                access::set_partner_status(&office.app.control, "prt_other", PartnerStatus::Active, now)
                    .await
                    .unwrap();
            }
            let report = restored(&office, &backup, loss, true).await;
            let verdict = if suspended { Verdict::Repaired } else { Verdict::Good };
            let rows = expect(&report, "control/partners", verdict);
            assert_eq!(rows.len(), if suspended { 2 } else { 0 }, "{rows:?}");
            office.a_minute_later();
            assert_eq!(office.admits(&key).await, !suspended);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_created_or_changed_after_the_backup_are_named() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let (changed, _) = new_key(&office, "changed").await;
        let backup = back_up(&office).await;
        let (made, api_key) = new_key(&office, "made").await;
        let (path, narrower) =
            (format!("/v1/admin/keys/{changed}"), json!({ "allowedCidrs": ["203.0.113.0/24"] }));
        admin(&office, "PATCH", &path, &narrower).await;
        let report = restored(&office, &backup, loss, true).await;
        let rows = expect(&report, "control/key-terms", Verdict::Manual);
        assert!(rows.iter().any(|it| it.contains(&made) && it.contains("is lost")), "{rows:?}");
        assert!(rows.iter().any(|it| it.contains(&changed) && it.contains("allowedCidrs")), "{rows:?}");
        assert!(!office.admits(&api_key).await);
        let failed: Vec<&str> = report.failures().map(|it| it.id.as_str()).collect();
        assert_eq!(failed, ["control/key-terms"], "terms may have been narrowed");
        // An administrator decides.
        office.a_minute_later();
        admin(&office, "PATCH", &path, &narrower).await;
        assert_eq!(office.reconcile(None, Some(backup.1), false).await.failures().count(), 0);
    }
}

/// Returns an approved request of this company and the token of its claim link.
pub(super) async fn claim_link(office: &Office, company: &str) -> (String, String) {
    let request_body = json!({
        "company": company, "practice": "DemoOffice", "contact": "Nia Bell", "email": "nia@nova.example",
        "requestedScopes": ["Prospects"], "message": "We sync." });
    let headers = [("content-type", "application/json")];
    office.call("POST", "/v1/access-requests", &headers, Some(&request_body.to_string())).await.expect(202);
    let pending = office.admin("GET", "/v1/admin/access-requests?status=pending", None).await;
    let id = pending.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let headers = [
        ("x-admin-secret", crate::office::ADMIN_SECRET),
        ("content-type", "application/json"),
        ("host", "portal.example.com"),
    ];
    let approve = format!("/v1/admin/access-requests/{id}/approve");
    let approved = office.call("POST", &approve, &headers, Some("{}")).await;
    let url = approved.expect(200)["data"]["claimUrl"].as_str().unwrap();
    (id, url.split_once("claim=").unwrap().1.to_owned())
}

pub(super) async fn claim(office: &Office, token: &str) -> Reply {
    let headers = [("content-type", "application/json")];
    let body = json!({ "token": token }).to_string();
    office.call("POST", "/v1/access-requests/claim", &headers, Some(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_link_used_or_withdrawn_after_the_backup_is_invalid() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let mut links = Vec::new();
        for company in ["Nova Care", "Vela Care", "Luna Care"] {
            links.push(claim_link(&office, company).await);
        }
        let backup = back_up(&office).await;
        admin(&office, "POST", &format!("/v1/admin/access-requests/{}/withdraw", links[0].0), &json!({}))
            .await;
        let report = restored(&office, &backup, loss, true).await;
        let rows = expect(&report, "control/claim-links", Verdict::Repaired);
        assert!(rows.len() == 1 && rows[0].contains(&links[0].0), "{rows:?}");
        claim(&office, &links[0].1).await.expect(404);
        let backup = back_up(&office).await;
        claim(&office, &links[1].1).await.expect(201);
        let report = restored(&office, &backup, loss, true).await;
        expect(&report, "control/claim-links", Verdict::Repaired);
        assert!(!claim(&office, &links[1].1).await.status.is_success());
        claim(&office, &links[2].1).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_deleted_or_paused_again_and_lost_ones_named() {
    for loss in LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        sign_up(&office, "https://partner.example.com/hook", &["Claims"]).await;
        let subscription = async || {
            let partner = shared::domain::ids::PartnerId("prt_acme".into());
            office.app.control.subscription(office.db.practicepass(), &partner).await.unwrap()
        };
        let backup = back_up(&office).await;
        // Paused by an administrator.
        admin(&office, "POST", "/v1/admin/webhooks/1/pause", &json!({})).await;
        let report = restored(&office, &backup, loss, true).await;
        expect(&report, "control/subscriptions", Verdict::Repaired);
        assert!(subscription().await.unwrap().paused_at.is_some());
        // One was deleted by an administrator, the other by its partner.
        for by_partner in [false, true] {
            office.restore_control(&backup.0, loss).await;
            office.a_minute_later();
            let reply = if by_partner {
                office.delete("/v1/webhooks").await
            } else {
                office.admin("DELETE", "/v1/admin/webhooks/1", None).await
            };
            reply.expect(200);
            let report = restored(&office, &backup, loss, true).await;
            expect(&report, "control/subscriptions", Verdict::Repaired);
            assert!(subscription().await.is_none(), "by its partner: {by_partner}");
        }
        // A new sign-up, and a replaced secret.
        office.a_minute_later();
        sign_up(&office, "https://partner.example.com/new", &["Claims"]).await;
        let report = restored(&office, &backup, loss, false).await;
        let rows = expect(&report, "control/subscriptions-lost", Verdict::Manual);
        assert!(rows[0].contains("sign up again"), "{rows:?}");
        office.a_minute_later();
        office.post("/v1/webhooks/rotate-secret", &json!({})).await.expect(200);
        let report = restored(&office, &backup, loss, false).await;
        let rows = expect(&report, "control/subscriptions-lost", Verdict::Manual);
        assert!(rows.iter().any(|it| it.contains("signs with its previous secret")), "{rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_replies_to_lost_calls_are_forgotten_and_no_id_is_reused() {
    let receiver = Receiver::start().await;
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let backup = back_up(&office).await;
    office.delete("/v1/webhooks").await.expect(200);
    office.later(SignedDuration::from_secs(1));
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "sign-up-1"),
    ];
    let body = json!({ "hookUrl": receiver.url, "scopes": ["Claims"] }).to_string();
    let sign_up = async || office.call("POST", "/v1/webhooks/signup", &headers, Some(&body)).await;
    assert_eq!(sign_up().await.expect(201)["data"]["id"], 1, "a partner keeps its subscription's id");
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values (1, 'claims', \
        'insert', 1, '2026-03-09T12:01:00Z')",
        )
        .await;
    poll(&office).await;
    deliver(&office).await;
    let delivered = office.app.control.deliveries_since(None, backup.1).await.unwrap();
    assert_eq!(delivered.len(), 1);
    let report = restored(&office, &backup, Loss::Everything, true).await;
    expect(&report, "control/answers", Verdict::Repaired);
    expect(&report, "control/ids", Verdict::Repaired);
    let again = sign_up().await;
    assert_eq!(again.header("idempotent-replayed"), "");
    let id = again.expect(201)["data"]["id"].as_i64().unwrap();
    assert!(id == 1 || id > 2, "its own, or one that was never assigned: {}", again.body);
    assert!(office.app.control.next_delivery_id().await.unwrap() > delivered[0].id);
}

async fn event_ids_of_a_lost_epoch_are_not_reused(office: Office) {
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Claims"]).await;
    let row = |id: i64, record: i64| {
        format!(
            "insert into log (log_id, table_name, action, record_id, logged_at) values ({id}, 'claims', \
                'insert', {record}, '2026-03-09T12:10:00Z')"
        )
    };
    for id in 1..=4 {
        office.sql(&row(id, id)).await;
    }
    poll(&office).await;
    deliver(&office).await;
    let backup = back_up(&office).await;
    // The log restarts, which only the control plane knows.
    office.sql("delete from log").await;
    for id in 1..=3 {
        office.sql(&row(id, 50 + id)).await;
    }
    poll(&office).await;
    deliver(&office).await;
    office.sql("delete from log").await;
    for id in 1..=2 {
        office.sql(&row(id, 90 + id)).await;
    }
    let report = restored(&office, &backup, Loss::Everything, true).await;
    let rows = expect(&report, "DemoOffice/log", Verdict::Repaired);
    assert!(
        rows.iter().any(|it| it.contains("in epoch 1, which the control plane doesn't know of")),
        "{rows:?}"
    );
    poll(&office).await;
    deliver(&office).await;
    let mut seen = std::collections::HashMap::new();
    for received in receiver.received() {
        let id = received.header("x-officepro-event-id").to_owned();
        let record = received.json()["recordId"].clone();
        assert!(
            seen.insert(id.clone(), record.clone()).is_none_or(|before| before == record),
            "{id} stands for two events"
        );
    }
    assert!(seen.values().any(|it| *it == 91) && seen.values().any(|it| *it == 92), "{seen:?}");
    assert_eq!(office.reconcile(None, Some(backup.1), false).await.failures().count(), 0);
}
on_both_databases!(event_ids_of_a_lost_epoch_are_not_reused);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_known_only_to_the_practice_database_is_named() {
    let office = Office::open(Engine::Sqlite).await;
    let backup = back_up(&office).await;
    let (id, api_key) = new_key(&office, "made").await;
    let body = json!({ "apiKey": api_key }).to_string();
    let token = office
        .call("POST", "/v1/DemoOffice/auth/token", &[("content-type", "application/json")], Some(&body))
        .await;
    let token = token.expect(200)["accessToken"].as_str().unwrap().to_owned();
    office.send(&token, "GET", "/v1/DemoOffice/prospects", None).await.expect(200);
    let report = restored(&office, &backup, Loss::Everything, false).await;
    let rows = expect(&report, "DemoOffice/keys-seen", Verdict::Manual);
    assert!(rows[0].contains(&id) && ApiKey::parse(&api_key).unwrap().id.0 == id, "{rows:?}");
}
