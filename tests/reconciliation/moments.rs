//! Determines the moment to which the control plane was restored, and whether it was restored at
//! all.

use jiff::SignedDuration;
use officepro_operator::{
    access,
    reconcile::{control_copy::moment_of, report::Verdict},
    removal,
};
use serde_json::json;
use shared::control::practices::Practice;

use super::{Loss, copies::table_of, everything, expect};
use crate::{
    office::{Engine, Office},
    webhooks::sign_up,
};

async fn revoke(office: &Office, key: &str) {
    let id = shared::auth::api_key::ApiKey::parse(office.api_key(key)).unwrap().id.0;
    access::revoke_key(&office.app.control, &id, office.app.clock.now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_later_than_the_copy_hides_nothing() {
    let office = Office::open(Engine::Sqlite).await;
    let key = office.api_key("all").to_owned();
    let backup = office.back_up_control().await;
    office.a_minute_later();
    revoke(&office, "all").await;
    let too_late = office.a_minute_later();
    let now = office.a_minute_later();
    let copy = table_of(&office, &backup).await;
    let refused = moment_of(&office.app.control, &copy, Some(too_late), now).await.unwrap_err().to_string();
    assert!(refused.contains("earlier moment") && refused.contains("keys.revoke"), "{refused}");
    office.restore_control(&backup, Loss::Everything).await;
    assert!(office.admits(&key).await);
    for (apply, verdict) in [(true, Verdict::Repaired), (false, Verdict::Good)] {
        let report = office.reconcile(None, Some(too_late), apply).await;
        let rows = expect(&report, "control/moment", Verdict::Manual);
        assert!(rows[0].contains("an audit record from then is lost"), "{rows:?}");
        expect(&report, "control/keys", verdict);
        office.a_minute_later();
        assert!(!office.admits(&key).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_moment_of_the_copy_is_accepted() {
    let office = Office::open(Engine::Sqlite).await;
    revoke(&office, "all").await;
    let backup = office.back_up_control().await;
    let at = office.later(SignedDuration::from_secs(2));
    office.a_minute_later();
    revoke(&office, "prospects").await;
    let now = office.a_minute_later();
    let copy = table_of(&office, &backup).await;
    assert_eq!(moment_of(&office.app.control, &copy, Some(at), now).await.unwrap(), at);
    assert!(moment_of(&office.app.control, &copy, None, now).await.is_err(), "the moment is unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_forgotten_or_skipped_without_a_restore() {
    let office = Office::open(Engine::Sqlite).await;
    let at = office.app.clock.now();
    office.a_minute_later();
    sign_up(&office, "https://partner.example.com/hook", &["Claims"]).await;
    let key = json!({
        "partnerId": "prt_acme", "name": "new", "practicepass": "DemoOffice", "scopes": ["Prospects"],
    });
    let headers = [
        ("x-admin-secret", crate::office::ADMIN_SECRET),
        ("content-type", "application/json"),
        ("idempotency-key", "make-one"),
    ];
    let make = async || office.call("POST", "/v1/admin/keys", &headers, Some(&key.to_string())).await;
    let first = make().await.expect(201)["data"]["id"].clone();
    revoke(&office, "prospects").await;
    // One link is open, and another was used meanwhile: its request names the key.
    let (_, open) = super::control::claim_link(&office, "Nova Care").await;
    let (_, used) = super::control::claim_link(&office, "Vela Care").await;
    office.a_minute_later();
    super::control::claim(&office, &used).await.expect(201);
    office.a_minute_later();
    let (before, _) = everything(&office).await;
    let report = office.reconcile(None, Some(at), true).await;
    assert_eq!(report.failures().count(), 0, "{}", report.markdown());
    expect(&report, "control/ids", Verdict::Good);
    expect(&report, "control/answers", Verdict::Good);
    expect(&report, "control/claim-links", Verdict::Good);
    assert!(report.markdown().contains("no sign of a restore"));
    let (mut after, _) = everything(&office).await;
    // The record of the reconciliation.
    after.retain(|place, _| before.contains_key(place) || !place.contains("AUDIT"));
    assert_eq!(after, before);
    let again = make().await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201)["data"]["id"], first);
    super::control::claim(&office, &open).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_removed_or_added_after_the_backup_is_named() {
    for loss in super::LOSSES {
        let office = Office::open(Engine::Sqlite).await;
        let control = &office.app.control;
        let old = shared::domain::PracticePass::try_from("OldClinic").unwrap();
        let entry = control.practice(office.db.practicepass()).await.unwrap().unwrap();
        control.put_practice(&Practice { practicepass: old.clone(), ..entry.clone() }).await.unwrap();
        let at = office.app.clock.now();
        let backup = office.back_up_control().await;
        let now = office.a_minute_later();
        removal::remove_practice(control, &old, std::time::Duration::ZERO, now).await.unwrap();
        let new = shared::domain::PracticePass::try_from("NewClinic").unwrap();
        let entry = Practice { practicepass: new.clone(), registered_at: Some(now), ..entry };
        let added = access::record("practices.add", "NewClinic", now).unwrap();
        access::commit(control, control.new_practice_write(&entry), &added).await.unwrap();
        office.a_minute_later();
        office.restore_control(&backup, loss).await;
        assert!(control.practice(&old).await.unwrap().is_some());
        let report = office.reconcile(None, Some(at), false).await;
        let rows = expect(&report, "control/practices", Verdict::Manual);
        assert!(rows.len() == 2, "{rows:?}");
        assert!(rows.iter().any(|it| it.starts_with("OldClinic is registered again")), "{rows:?}");
        assert!(rows.iter().any(|it| it.starts_with("NewClinic is lost")), "{rows:?}");
        assert!(report.failures().any(|it| it.id == "control/practices"));
        // This requires manual work.
        let now = office.a_minute_later();
        removal::remove_practice(control, &old, std::time::Duration::ZERO, now).await.unwrap();
        control.put_practice(&Practice { registered_at: Some(now), ..entry }).await.unwrap();
        let report = office.reconcile(None, Some(at), false).await;
        expect(&report, "control/practices", Verdict::Good);
    }
}
