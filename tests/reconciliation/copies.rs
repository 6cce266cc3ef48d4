//! A control table that was restored under another name, and the copies of audit records.

use aws_sdk_dynamodb::types::AttributeValue;
use officepro_operator::{
    access,
    reconcile::{
        control_copy::{Counts, restore_control},
        report::Verdict,
    },
    removal,
};
use serde_json::json;
use shared::control::{Item, Store, partners::PartnerStatus, practices::Practice};

use super::{Loss, expect};
use crate::{
    office::{Engine, Office},
    webhooks::sign_up,
};

/// Creates a table with these items.
pub(super) async fn table_of(office: &Office, items: &[Item]) -> Store {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    let name = format!("{}-restored", office.app.config.tables.control.clone().unwrap());
    let mut create =
        office.dynamodb.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        create = create
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(attribute)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .unwrap(),
            )
            .key_schema(
                KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().unwrap(),
            );
    }
    create.send().await.unwrap();
    let copy = office.app.control.with_control_table(&name);
    for item in items {
        copy.put_control_item(item.clone(), None).await.unwrap();
    }
    copy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_items_are_copied_back_and_ended_items_stay_ended() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, "https://partner.example.com/hook", &["Claims"]).await;
    let at = office.app.clock.now();
    let backup = office.back_up_control().await;
    let now = office.a_minute_later();
    let (revoked, lives) = (office.api_key("prospects").to_owned(), office.api_key("all").to_owned());
    let id = |key: &str| shared::auth::api_key::ApiKey::parse(key).unwrap().id.0;
    access::revoke_key(&office.app.control, &id(&revoked), now).await.unwrap();
    access::set_partner_status(&office.app.control, "prt_other", PartnerStatus::Suspended, now)
        .await
        .unwrap();
    office.delete("/v1/webhooks").await.expect(200);
    office.app.calls.flush(&office.app.control, std::time::Duration::from_mins(1)).await;
    // Everything is lost.
    office.restore_control(&[], Loss::Everything).await;
    office.a_minute_later();
    assert!(!office.admits(&lives).await);
    let copy = table_of(&office, &backup).await;
    let period = (at, office.app.clock.now());
    let counted = restore_control(&office.app.control, &copy, period, (false, false)).await.unwrap();
    assert!(office.back_up_control().await.is_empty(), "only counted");
    assert_eq!(counted.counts["keys"], Counts { missing: 3, ended: 1, ..Counts::default() });
    assert_eq!(counted.counts["partners"], Counts { missing: 2, ended: 1, ..Counts::default() });
    assert_eq!(counted.counts["subscriptions"], Counts { missing: 1, deleted: 1, ..Counts::default() });
    let copied = restore_control(&office.app.control, &copy, period, (false, true)).await.unwrap();
    assert_eq!(copied.counts, counted.counts);
    assert!(office.admits(&lives).await);
    assert!(!office.admits(&revoked).await, "not even for a moment");
    let partner = shared::domain::ids::PartnerId("prt_other".into());
    assert_eq!(office.app.control.partner(&partner).await.unwrap().unwrap().status, PartnerStatus::Suspended);
    assert!(office.app.control.subscriptions_of(office.db.practicepass()).await.unwrap().is_empty());
    assert!(
        office
            .app
            .control
            .keys_revoked_of(&shared::domain::ids::PartnerId("prt_acme".into()), 10)
            .await
            .unwrap()
            .len()
            == 1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_items_are_overwritten_on_request_and_ended_items_never() {
    let office = Office::open(Engine::Sqlite).await;
    let at = office.app.clock.now();
    let backup = office.back_up_control().await;
    office.a_minute_later();
    let id = |key: &str| shared::auth::api_key::ApiKey::parse(key).unwrap().id.0;
    let (ended, changed) = (id(office.api_key("prospects")), id(office.api_key("all")));
    let untouched = backup.iter().filter_map(|it| it["pk"].as_s().unwrap().strip_prefix("KEY#"));
    let untouched = untouched.map(str::to_owned).find(|it| *it != ended && *it != changed).unwrap();
    office
        .admin("PATCH", &format!("/v1/admin/keys/{changed}"), Some(&json!({ "name": "Renamed" })))
        .await
        .expect(200);
    access::revoke_key(&office.app.control, &ended, office.app.clock.now()).await.unwrap();
    let copy = table_of(&office, &backup).await;
    let name = async || {
        office.admin("GET", "/v1/admin/keys", None).await.expect(200).to_string().contains("Renamed")
    };
    let period = (at, office.app.clock.now());
    for overwrite in [false, true] {
        let copied = restore_control(&office.app.control, &copy, period, (overwrite, true)).await.unwrap();
        let expected = Counts { same: 1, kept: 2, ..Counts::default() };
        assert_eq!(copied.counts["keys"], expected, "both were changed by people");
        assert!(name().await);
        let key =
            office.app.control.api_key(&shared::domain::ids::KeyId(ended.clone())).await.unwrap().unwrap();
        assert_eq!(key.status, shared::auth::KeyStatus::Revoked);
    }
    // Damaged: nobody changed the item, but it differs.
    let damaged = office.app.control.api_key(&shared::domain::ids::KeyId(untouched)).await.unwrap().unwrap();
    let damaged = shared::auth::KeyRecord { name: "?".to_owned(), revision: damaged.revision + 1, ..damaged };
    let write = office.app.control.change_api_key_write(&damaged).unwrap();
    office.app.control.transact(vec![write]).await.unwrap();
    for (overwrite, kept) in [(false, 3), (true, 2)] {
        let copied = restore_control(&office.app.control, &copy, period, (overwrite, true)).await.unwrap();
        let expected = Counts { kept, overwritten: 3 - kept, ..Counts::default() };
        assert_eq!(copied.counts["keys"], expected);
        let is_damaged = office.app.control.api_key(&damaged.id).await.unwrap().unwrap().name == "?";
        assert_eq!(is_damaged, !overwrite);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partners_profile_and_a_corrected_time_zone_are_not_overwritten() {
    let office = Office::open(Engine::Sqlite).await;
    let control = &office.app.control;
    let at = office.app.clock.now();
    let backup = office.back_up_control().await;
    office.a_minute_later();
    let token = office.token("all").await;
    let profile = json!({ "contactName": "Nia Bell" });
    office.send(&token, "PATCH", "/v1/me", Some(&profile)).await.expect(200);
    let practice = office.db.practicepass();
    let mut act = access::record("practices.update", practice.as_str(), office.app.clock.now()).unwrap();
    act.changes = vec![shared::control::audit::FieldChange {
        field: "timeZone".to_owned(),
        from: None,
        to: Some("America/Denver".to_owned()),
    }];
    let write = control.time_zone_write(practice, "America/Denver");
    access::commit(control, write, &act).await.unwrap();
    let copy = table_of(&office, &backup).await;
    let period = (at, office.a_minute_later());
    let copied = restore_control(control, &copy, period, (true, true)).await.unwrap();
    assert_eq!((copied.counts["partners"].kept, copied.counts["practices"].kept), (1, 1), "{copied:?}");
    assert!(office.get("/v1/me").await.expect(200).to_string().contains("Nia Bell"));
    // If the item was lost, the former zone is named.
    office.restore_control(&backup, Loss::AllButTheAuditLog).await;
    let rows = expect(&office.reconcile(None, Some(at), false).await, "control/practices", Verdict::Manual);
    assert!(rows.len() == 1 && rows[0].contains("set-time-zone DemoOffice America/Denver"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_a_copy_ends_is_named_with_its_reason_and_audited() {
    let office = Office::open(Engine::Sqlite).await;
    let control = &office.app.control;
    let at = office.app.clock.now();
    let backup = office.back_up_control().await;
    let now = office.a_minute_later();
    let id = shared::auth::api_key::ApiKey::parse(office.api_key("all")).unwrap().id.0;
    access::revoke_key(control, &id, now).await.unwrap();
    office.restore_control(&[], Loss::Everything).await;
    let copy = table_of(&office, &backup).await;
    let now = office.a_minute_later();
    let copied = restore_control(control, &copy, (at, now), (false, true)).await.unwrap();
    let rows = &copied.ended["keys"];
    assert!(rows.len() == 1 && rows[0].contains(&id) && rows[0].contains("keys.revoke"), "{rows:?}");
    let acts = control.audit_since(now).await.unwrap();
    let ended = acts.iter().find(|it| it.action == "keys.revoke").unwrap();
    assert_eq!(ended.target.as_deref(), Some(id.as_str()));
    // A run that writes nothing does not count as a restore.
    let now = office.a_minute_later();
    restore_control(control, &copy, (at, now), (false, true)).await.unwrap();
    assert!(control.audit_since(now).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_claim_links_and_removed_practices_survive_an_older_copy() {
    for (lost, overwrite) in [(true, false), (false, true)] {
        let office = Office::open(Engine::Sqlite).await;
        let control = &office.app.control;
        sign_up(&office, "https://partner.example.com/hook", &["Claims"]).await;
        let (request, token) = super::control::claim_link(&office, "Nova Care").await;
        let old = shared::domain::PracticePass::try_from("OldClinic").unwrap();
        let entry = control.practice(office.db.practicepass()).await.unwrap().unwrap();
        control.put_practice(&Practice { practicepass: old.clone(), ..entry }).await.unwrap();
        let at = office.app.clock.now();
        let backup = office.back_up_control().await;
        let now = office.a_minute_later();
        office.admin("POST", "/v1/admin/webhooks/1/pause", Some(&json!({}))).await.expect(200);
        let withdraw = format!("/v1/admin/access-requests/{request}/withdraw");
        office.admin("POST", &withdraw, Some(&json!({}))).await.expect(200);
        removal::remove_practice(control, &old, std::time::Duration::ZERO, now).await.unwrap();
        let key = json!({
            "partnerId": "prt_acme", "name": "late", "practicepass": "DemoOffice", "scopes": ["Prospects"],
        });
        let headers = [
            ("x-admin-secret", crate::office::ADMIN_SECRET),
            ("content-type", "application/json"),
            ("idempotency-key", "late-key"),
        ];
        let made = async || office.call("POST", "/v1/admin/keys", &headers, Some(&key.to_string())).await;
        made().await.expect(201);
        if lost {
            office.restore_control(&[], Loss::AllButTheAuditLog).await;
        }
        office.a_minute_later();
        let copy = table_of(&office, &backup).await;
        let period = (at, office.app.clock.now());
        let copied = restore_control(control, &copy, period, (overwrite, true)).await.unwrap();
        let written = usize::from(lost);
        assert_eq!(
            copied.counts["subscriptions"],
            Counts { missing: written, ended: written, kept: 1 - written, ..Counts::default() }
        );
        assert_eq!(copied.counts["access requests"], copied.counts["subscriptions"]);
        assert_eq!(copied.counts["practices"].deleted, 1);
        assert!(control.practice(&old).await.unwrap().is_none());
        let subscription = &control.subscriptions_of(office.db.practicepass()).await.unwrap()[0];
        assert!(subscription.paused_at.is_some());
        super::control::claim(&office, &token).await.expect(404);
        let acts = control.audit_since(at).await.unwrap();
        assert_eq!(acts.iter().any(|it| it.action == "restore.control"), lost, "{acts:?}");
        office.a_minute_later();
        let report = office.reconcile(None, Some(at), true).await;
        for id in ["control/subscriptions", "control/claim-links", "control/practices", "control/keys"] {
            expect(&report, id, Verdict::Good);
        }
        // From the restore that the audit log records: nothing else shows that the key is lost.
        expect(&report, "control/answers", if lost { Verdict::Repaired } else { Verdict::Good });
        let again = made().await;
        assert_eq!(again.header("idempotent-replayed"), if lost { "" } else { "true" });
        again.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poller_lease_and_its_last_runs_are_not_copied_back() {
    let office = Office::open(Engine::Sqlite).await;
    let item = |fields: &[(&str, &str)]| -> Item {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())))
            .collect()
    };
    let position = item(&[
        ("pk", "PRACTICE#DemoOffice"),
        ("sk", "DISPATCH"),
        ("leaseOwner", "somebody"),
        ("leaseUntil", "2099-01-01T00:00:00Z"),
    ]);
    let copy = table_of(&office, &[position.clone(), item(&[("pk", "POLLERS"), ("sk", "1/0")])]).await;
    let at = office.app.clock.now();
    let period = (at, office.a_minute_later());
    let copied = restore_control(&office.app.control, &copy, period, (false, true)).await.unwrap();
    assert_eq!(copied.counts["poller runs"], Counts { missing: 1, deleted: 1, ..Counts::default() });
    let restored = office.app.control.control_item(&position).await.unwrap().unwrap();
    assert!(!restored.contains_key("leaseUntil") && !restored.contains_key("leaseOwner"), "{restored:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_changed_meanwhile_is_not_overwritten() {
    let office = Office::open(Engine::Sqlite).await;
    let control = &office.app.control;
    let id =
        shared::domain::ids::KeyId(shared::auth::api_key::ApiKey::parse(office.api_key("all")).unwrap().id.0);
    let items = office.back_up_control().await;
    let seen = items.iter().find(|it| it["pk"].as_s().unwrap() == &format!("KEY#{id}")).unwrap();
    access::revoke_key(control, &id.0, office.app.clock.now()).await.unwrap();
    assert!(control.put_control_item(seen.clone(), Some(seen)).await.is_err());
    assert!(control.put_control_item(seen.clone(), None).await.is_err());
    assert_eq!(control.api_key(&id).await.unwrap().unwrap().status, shared::auth::KeyStatus::Revoked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_audit_record_has_a_copy_in_another_table() {
    let office = Office::open(Engine::Sqlite).await;
    let from = office.app.clock.now();
    office.admin("GET", "/v1/admin/keys", None).await.expect(200);
    office
        .admin("PATCH", "/v1/admin/partners/prt_acme", Some(&json!({ "status": "suspended" })))
        .await
        .expect(200);
    office
        .call("GET", "/v1/admin/keys", &[("x-admin-secret", "wrong-secret-of-the-tests-0123456789")], None)
        .await
        .expect(401);
    access::set_partner_status(
        &office.app.control,
        "prt_acme",
        PartnerStatus::Active,
        office.app.clock.now(),
    )
    .await
    .unwrap();
    let records = office.app.control.audit_since(from).await.unwrap();
    assert_eq!(records.len(), 4, "{records:?}");
    let mut copies = office.app.control.audit_copies(from, office.app.clock.now()).await.unwrap();
    copies.sort_by_key(|it| it.id.clone());
    let mut sorted = records.clone();
    sorted.sort_by_key(|it| it.id.clone());
    assert_eq!(copies, sorted);
    let suspension = records.iter().find(|it| it.action == "partners.update").unwrap();
    assert_eq!(suspension.changes[0].to.as_deref(), Some("suspended"));
}
