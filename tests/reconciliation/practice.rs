//! A practice's database that is older than the control plane.

use jiff::SignedDuration;
use officepro_operator::reconcile::report::Verdict;
use serde_json::{Value, json};

use super::{everything, expect};
use crate::{
    office::{Engine, Office, Receiver, is_attached, on_both_databases},
    pipeline::{deliver, poll},
    webhooks::sign_up,
};

const BOOK: &str = "/v1/DemoOffice/visits/book";

fn visit(time: &str) -> Value {
    json!({
        "PatientID": 1001, "ProviderID": 2, "VisitType": "Consult", "VisitDate": "2026-03-12",
        "VisitTime": time, "VisitDuration": 30,
    })
}

/// Books a visit; returns its id and the request's.
async fn book(office: &Office, time: &str, request_id: &str) -> i64 {
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", request_id),
        ("idempotency-key", request_id),
    ];
    let reply = office.call("POST", BOOK, &headers, Some(&visit(time).to_string())).await;
    reply.expect(201)["data"]["VisitID"].as_i64().unwrap()
}

/// Restores the practice's database to when its log ended at `log` and its visits at `visit`.
async fn restore(office: &Office, log: i64, visit: i64) {
    let lost = "(select request_id from log where log_id > ";
    office.sql(&format!("delete from audit_log where request_id in {lost} {log})")).await;
    office.sql(&format!("delete from idempotency_keys where idempotency_key in {lost} {log})")).await;
    office
        .sql(&format!("delete from log where log_id > {log}; delete from visits where visit_id > {visit}"))
        .await;
    if office.is_postgres().await {
        for (table, column, end) in [("log", "log_id", log), ("visits", "visit_id", visit)] {
            let sequence = format!("pg_get_serial_sequence('{table}', '{column}')");
            office.sql(&format!("select setval({sequence}, greatest({end}, 1), {end} > 0)")).await;
        }
        if is_attached() {
            // The EMR's tables are in the same database.
            office
                .sql(&format!(
                    "set partner_api.writing = 'ours'; delete from \
                public.openemr_postcalendar_events where pc_eid > {visit};
                select setval(pg_get_serial_sequence('public.openemr_postcalendar_events', 'pc_eid'), \
                greatest({visit}, 1), {visit} > 0)"
                ))
                .await;
        }
    } else {
        office.sql(&format!("update sqlite_sequence set seq = {log} where name = 'log'")).await;
        office.sql(&format!("update sqlite_sequence set seq = {visit} where name = 'visits'")).await;
    }
}

async fn end_of(office: &Office, table: &str, column: &str) -> i64 {
    office.integer(&format!("select coalesce(max({column}), 0) from {table}")).await
}

async fn lost_bookings_are_listed_with_their_callers_and_ids_not_reused(office: Office) {
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Encounters"]).await;
    let kept = book(&office, "10:00:00", "kept-booking").await;
    poll(&office).await;
    deliver(&office).await;
    let log = end_of(&office, "log", "log_id").await;
    let at = office.later(SignedDuration::from_secs(90));
    office.later(SignedDuration::from_secs(90));
    let lost = book(&office, "11:00:00", "lost-booking-1").await;
    let unsent = book(&office, "13:30:00", "lost-booking-2").await;
    poll(&office).await;
    deliver(&office).await;
    office.delete("/v1/DemoOffice/prospects/1001/tags/1").await;
    restore(&office, log, kept).await;
    office.a_minute_later();

    let before = everything(&office).await;
    let report = office.reconcile(Some(at), None, false).await;
    assert_eq!(everything(&office).await, before, "a dry run changes nothing");
    let rows = expect(&report, "DemoOffice/writes", Verdict::Manual);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    let row = |request: &str| rows.iter().find(|it| it.contains(request)).unwrap();
    for word in
        ["POST /v1/{PPass}/visits/book → 201", &format!("Encounters {lost};"), "Acme Health (prt_acme)"]
    {
        assert!(row("lost-booking-1").contains(word), "{word}: {rows:#?}");
    }
    assert!(row("lost-booking-2").contains(&format!("Encounters {unsent};")), "{rows:#?}");
    let told = expect(&report, "DemoOffice/events-told", Verdict::Manual);
    assert!(
        told.iter().any(|it| it.contains(&format!("Encounters created {lost}, delivered to prt_acme"))),
        "{told:#?}"
    );
    expect(&report, "DemoOffice/log", Verdict::Open);
    expect(&report, "DemoOffice/record-ids", Verdict::Open);
    assert!(report.failures().count() >= 2);

    let report = office.reconcile(Some(at), None, true).await;
    expect(&report, "DemoOffice/log", Verdict::Repaired);
    expect(&report, "DemoOffice/record-ids", Verdict::Repaired);
    assert_eq!(report.failures().count(), 0, "{}", report.markdown());
    assert_eq!(office.integer("select count(*) from audit_log where action = 'restore.reconcile'").await, 2);
    let audit = office.admin("GET", "/v1/admin/audit", None).await;
    let acts = audit.expect(200)["data"].as_array().unwrap();
    assert!(
        acts.iter().any(|it| it["action"] == "restore.reconcile" && it["target"] == "DemoOffice"),
        "{acts:?}"
    );

    // The same request books again, because the first reply is lost with its booking; the new visit
    // has an id that nobody knows.
    let again = book(&office, "11:00:00", "lost-booking-1").await;
    assert!(again > unsent + 1_000, "{again}");
    poll(&office).await;
    deliver(&office).await;
    let ids: Vec<String> =
        receiver.received().iter().map(|it| it.header("x-officepro-event-id").to_owned()).collect();
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "no event id stands for two events: {ids:?}");
    assert!(ids.last().unwrap().starts_with("DemoOffice-1."), "{ids:?}");

    // A second run finds everything done, and begins no epoch.
    office.a_minute_later();
    let report = office.reconcile(Some(at), None, true).await;
    expect(&report, "DemoOffice/log", Verdict::Good);
    expect(&report, "DemoOffice/record-ids", Verdict::Good);
    let state = office.app.control.dispatch_states(Some(office.db.practicepass())).await.unwrap();
    assert_eq!(state[0].progress.epoch, 1);

    // Ids that were skipped for one restore are in the backup of the next.
    let later = office.later(SignedDuration::from_secs(90));
    office.a_minute_later();
    let report = office.reconcile(Some(later), None, false).await;
    expect(&report, "DemoOffice/record-ids", Verdict::Open);
}
on_both_databases!(lost_bookings_are_listed_with_their_callers_and_ids_not_reused);

async fn a_row_that_reuses_the_id_of_a_lost_one_is_sent(office: Office) {
    sign_up(&office, "https://partner.example.com/hook", &["Encounters"]).await;
    for (time, request) in [("09:00:00", "booking-1"), ("10:00:00", "booking-2"), ("11:00:00", "booking-3")] {
        book(&office, time, request).await;
    }
    poll(&office).await;
    deliver(&office).await;
    let (log, visits) = (end_of(&office, "log", "log_id").await, end_of(&office, "visits", "visit_id").await);
    let at = office.later(SignedDuration::from_secs(90));
    office.later(SignedDuration::from_secs(90));
    book(&office, "13:00:00", "lost-booking").await;
    poll(&office).await;
    deliver(&office).await;
    restore(&office, log, visits).await;
    // The EMR continues, and the poller sees only one missing row; then another row is committed
    // late under its id.
    let insert = "insert into log (log_id, table_name, action, record_id, logged_at) values";
    office.sql(&format!("{insert} ({}, 'visits', 'insert', 71, '2026-03-09T12:10:00Z')", log + 2)).await;
    poll(&office).await;
    deliver(&office).await;
    office.sql(&format!("{insert} ({}, 'visits', 'insert', 72, '2026-03-09T12:10:00Z')", log + 1)).await;
    poll(&office).await;
    let sent = async |record: i64| {
        let all = office.app.control.deliveries_since(Some(office.db.practicepass()), at).await.unwrap();
        let mut ids: Vec<String> = all
            .into_iter()
            .filter(|it| it.payload.record_id == record)
            .map(|it| it.payload.event_id)
            .collect();
        ids.sort();
        ids
    };
    deliver(&office).await;
    assert!(sent(72).await.is_empty(), "the poller alone cannot know it");
    let report = office.reconcile(Some(at), None, true).await;
    let rows = expect(&report, "DemoOffice/log", Verdict::Repaired);
    assert!(rows.iter().any(|it| it.contains(&format!("from {} on", log + 1))), "{rows:#?}");
    poll(&office).await;
    deliver(&office).await;
    assert_eq!(sent(72).await, [format!("DemoOffice-1.{}", log + 1)]);
    assert_eq!(office.reconcile(Some(at), None, false).await.failures().count(), 0);
}
on_both_databases!(a_row_that_reuses_the_id_of_a_lost_one_is_sent);

async fn a_stored_reply_about_a_lost_record_is_forgotten(office: Office) {
    let id = book(&office, "10:00:00", "kept-answer-1").await;
    let stays = book(&office, "11:00:00", "kept-answer-2").await;
    let at = office.later(SignedDuration::from_secs(90));
    // Only one table was restored.
    office.sql(&format!("delete from visits where visit_id = {id}")).await;
    office.a_minute_later();
    assert_eq!(book(&office, "10:00:00", "kept-answer-1").await, id, "a replay answers about nothing");
    let rows = expect(&office.reconcile(Some(at), None, false).await, "DemoOffice/answers", Verdict::Open);
    assert!(rows.len() == 1 && rows[0].contains(&format!("visits {id}")), "{rows:?}");
    let report = office.reconcile(Some(at), None, true).await;
    expect(&report, "DemoOffice/answers", Verdict::Repaired);
    assert_ne!(book(&office, "10:00:00", "kept-answer-1").await, id);
    assert_eq!(book(&office, "11:00:00", "kept-answer-2").await, stays, "the others are kept");
}
on_both_databases!(a_stored_reply_about_a_lost_record_is_forgotten);

async fn several_calls_with_one_request_id_are_distinguished(office: Office) {
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", "same-for-all"),
    ];
    let update = async |name: &str| {
        let body = json!({ "NickName": name }).to_string();
        office.call("PUT", "/v1/DemoOffice/prospects/1001", &headers, Some(&body)).await.expect(200);
    };
    let at = office.later(SignedDuration::from_secs(90));
    office.later(SignedDuration::from_secs(1));
    update("One").await;
    office.later(SignedDuration::from_secs(1));
    update("Two").await;
    office.later(SignedDuration::from_secs(1));
    assert!(
        expect(&office.reconcile(Some(at), None, false).await, "DemoOffice/writes", Verdict::Good).is_empty()
    );
    office.sql("delete from audit_log where audit_id = (select max(audit_id) from audit_log)").await;
    let rows = expect(&office.reconcile(Some(at), None, false).await, "DemoOffice/writes", Verdict::Manual);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].starts_with("2026-03-09T12:01:32Z"), "the later one: {rows:?}");
}
on_both_databases!(several_calls_with_one_request_id_are_distinguished);

#[tokio::test]
async fn overlapping_visits_are_detected() {
    let office = Office::open(Engine::Sqlite).await;
    let at = office.later(SignedDuration::from_secs(90));
    book(&office, "10:00:00", "booking-1").await;
    book(&office, "14:00:00", "booking-2").await;
    office.a_minute_later();
    expect(&office.reconcile(Some(at), None, false).await, "DemoOffice/overlaps", Verdict::Good);
    // Bypass the constraint, as a faulty restore may.
    office.sql("drop trigger visits_placed_on_update").await;
    let columns = ["starts_at", "ends_at", "provider_starts_at", "provider_ends_at"];
    let moved =
        columns.map(|it| format!("{it} = (select {it} + 900 from visits where visit_time = '10:00:00')"));
    office.sql(&format!("update visits set {} where visit_time = '14:00:00'", moved.join(", "))).await;
    expect(&office.reconcile(Some(at), None, false).await, "DemoOffice/overlaps", Verdict::Manual);
}

#[tokio::test]
async fn a_silent_database_is_in_the_report() {
    let office = Office::open(Engine::Sqlite).await;
    let at = office.later(SignedDuration::from_secs(90));
    office.a_minute_later();
    let entry = office.app.control.practice(office.db.practicepass()).await.unwrap().unwrap();
    let nowhere = shared::auth::secret_ref::SecretRef::from("env:NOTHING".to_owned());
    office
        .app
        .control
        .put_practice(&shared::control::practices::Practice { dsn_secret: nowhere, ..entry })
        .await
        .unwrap();
    let report = office.reconcile(Some(at), None, true).await;
    expect(&report, "DemoOffice/database", Verdict::Open);
    assert_eq!(report.failures().count(), 1);
}

async fn a_second_restore_of_the_same_backup_reuses_no_id(office: Office) {
    let (log, visit) = (end_of(&office, "log", "log_id").await, end_of(&office, "visits", "visit_id").await);
    let at = office.later(SignedDuration::from_secs(90));
    office.a_minute_later();
    book(&office, "09:00:00", "before-1").await;
    restore(&office, log, visit).await;
    office.a_minute_later();
    expect(&office.reconcile(Some(at), None, true).await, "DemoOffice/record-ids", Verdict::Repaired);
    office.a_minute_later();
    let mut given = Vec::new();
    for (number, time) in ["10:00:00", "11:00:00", "14:00:00"].into_iter().enumerate() {
        given.push(book(&office, time, &format!("between-{number}")).await);
    }
    // The EMR's programs created some, too, which nothing here records.
    let used = end_of(&office, "visits", "visit_id").await + 20;
    restore(&office, log, visit).await;
    office.a_minute_later();
    // A restored database has no record of the first reconciliation.
    office.sql("delete from audit_log where action = 'restore.reconcile'").await;
    expect(&office.reconcile(Some(at), None, true).await, "DemoOffice/record-ids", Verdict::Repaired);
    office.a_minute_later();
    let again = book(&office, "10:00:00", "after-1").await;
    assert!(again > used, "{again} was given before: {given:?}, up to {used}");
}
on_both_databases!(a_second_restore_of_the_same_backup_reuses_no_id);

async fn a_lost_visit_with_an_already_reused_id_is_named(office: Office) {
    let receiver = Receiver::start().await;
    sign_up(&office, &receiver.url, &["Encounters"]).await;
    let (log, visit) = (end_of(&office, "log", "log_id").await, end_of(&office, "visits", "visit_id").await);
    let at = office.later(SignedDuration::from_secs(90));
    office.a_minute_later();
    let lost = book(&office, "09:00:00", "lost-1").await;
    poll(&office).await;
    deliver(&office).await;
    restore(&office, log, visit).await;
    office.a_minute_later();
    assert_eq!(book(&office, "13:00:00", "stranger").await, lost, "nobody had skipped it");
    let report = office.reconcile(Some(at), None, true).await;
    let rows = expect(&report, "DemoOffice/ids-given-again", Verdict::Manual);
    assert!(rows.len() == 1 && rows[0].contains(&format!("visits {lost}")), "{rows:?}");
    assert!(report.failures().any(|it| it.id == "DemoOffice/ids-given-again"));
}
on_both_databases!(a_lost_visit_with_an_already_reused_id_is_named);

async fn a_moment_later_than_the_database_hides_no_lost_booking(office: Office) {
    let (log, visit) = (end_of(&office, "log", "log_id").await, end_of(&office, "visits", "visit_id").await);
    office.later(SignedDuration::from_hours(3));
    book(&office, "09:00:00", "early-1").await;
    office.later(SignedDuration::from_hours(2));
    let too_late = office.later(SignedDuration::from_secs(90));
    restore(&office, log, visit).await;
    office.a_minute_later();
    let report = office.reconcile(Some(too_late), None, false).await;
    let rows = expect(&report, "DemoOffice/moment", Verdict::Manual);
    assert!(rows[0].contains("calls are lost since"), "{rows:?}");
    let rows = expect(&report, "DemoOffice/writes", Verdict::Manual);
    assert_eq!(rows.len(), 1, "{rows:?}");
}
on_both_databases!(a_moment_later_than_the_database_hides_no_lost_booking);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_is_in_the_report_and_blocks_nothing() {
    let receiver = Receiver::start().await;
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, &receiver.url, &["Encounters"]).await;
    let (log, visit) = (end_of(&office, "log", "log_id").await, end_of(&office, "visits", "visit_id").await);
    let at = office.later(SignedDuration::from_secs(90));
    office.a_minute_later();
    book(&office, "09:00:00", "lost-1").await;
    poll(&office).await;
    deliver(&office).await;
    restore(&office, log, visit).await;
    let now = office.a_minute_later();
    let control = &office.app.control;
    let until = now + SignedDuration::from_mins(5);
    let lease = control.take_lease(office.db.practicepass(), "a poller", now, until).await.unwrap().unwrap();
    let report = office.reconcile(Some(at), None, true).await;
    expect(&report, "DemoOffice/log", Verdict::Open);
    let failed = super::check(&report, "DemoOffice/log").changed.join("\n");
    assert!(
        failed.contains("FAILED") && failed.contains("the poller holds the lease of DemoOffice"),
        "{failed}"
    );
    expect(&report, "DemoOffice/record-ids", Verdict::Repaired);
    control.release(&lease).await.unwrap();
    expect(&office.reconcile(Some(at), None, true).await, "DemoOffice/log", Verdict::Repaired);
}
