//! Rows of ours that differ from the EMR's, in every way that the comparison distinguishes and in
//! every column, are found and repaired.

use std::collections::BTreeSet;

use shared::tenant::{TenantDb, bridge};

use super::{attached, event, run, sabotage, text};

/// Plants a difference as the bridge itself would write it; expects exactly this finding, and none
/// after the repair.
async fn is_repaired(db: &TenantDb, planted: &str, finding: &str) {
    sabotage(db, &format!("set partner_api.writing = 'emr'; {planted}; reset partner_api.writing")).await;
    let found = bridge::check(db).await.unwrap();
    let found: Vec<_> = found.iter().map(|it| it.finding.as_str()).collect();
    assert_eq!(found, [finding], "{planted}");
    bridge::load(db, false, |_| true).await.unwrap();
    assert_eq!(bridge::check(db).await.unwrap(), Vec::new(), "{planted}");
}

const PLANTED: [(&str, &str); 16] = [
    ("delete from visits", "event: missing"),
    ("update visits set visit_time = '11:00'", "event: different"),
    (
        "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
            visit_duration)
        values (7001, 1002, 1, 'Consult', '2031-03-11', '10:00', 30)",
        "event: surplus",
    ),
    ("delete from schedule_exceptions", "event: different time off"),
    (
        "with made as (insert into schedule_exceptions (provider_id, exception_date, kind) values (1, \
            '2031-03-12', 'off') returning exception_id)
        insert into bridge_time_off select 7002, exception_id from made",
        "event: different time off",
    ),
    ("update patients set last_name = 'Drift' where patient_id = 1002", "patient: different"),
    ("delete from patients where patient_id = 1003", "patient: missing"),
    (
        "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
        values (5001, 'No', 'Body', 'No Body', now(), now())",
        "patient: surplus",
    ),
    ("update providers set active = not active where provider_id = 1", "provider: different"),
    ("delete from providers where provider_id = 3", "provider: missing"),
    ("insert into providers (provider_id, name) values (77, 'Nobody')", "provider: surplus"),
    ("update resources set active = false where resource_id = 102", "rooms: different"),
    ("delete from bridge_rooms where room = 'r2'", "rooms: missing"),
    (
        "with made as (insert into resources (name) values ('Attic') returning resource_id)
        insert into bridge_rooms select 'attic', resource_id from made",
        "rooms: surplus",
    ),
    ("insert into visit_types (visit_type) values ('Unknown')", "visit type: surplus"),
    ("update visit_types set active = false where visit_type = 'Consult'", "visit type: different"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_drift_is_found_and_repaired() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    run(&mut emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    run(&mut emr, &event(8, "1", "", "2031-03-10", "12:00", 60)).await;
    // A type without references.
    let new = "insert into openemr_postcalendar_categories (pc_catid, pc_catname, pc_cattype)
        values (90, 'New', 0)";
    run(&mut emr, new).await;
    let mut seen = BTreeSet::new();
    for (planted, finding) in PLANTED
        .into_iter()
        .chain([("delete from visit_types where visit_type = 'New'", "visit type: missing")])
    {
        is_repaired(db, planted, finding).await;
        seen.insert(finding.to_owned());
    }
    // This covers every kind.
    let turns = text(&mut emr, "select array_to_string(partner_api.bridge_turns(), ',')").await;
    let all: BTreeSet<String> = turns
        .split(',')
        .map(|turn| turn.trim_start_matches("bridge_apply_").replace('_', " "))
        .flat_map(|turn| ["missing", "surplus", "different"].map(|kind| format!("{turn}: {kind}")))
        .chain(["event: different time off".to_owned()])
        .collect();
    assert_eq!(seen, all);
}

/// The columns that the bridge copies, by the function that reads them; the first one is the key.
async fn copied(emr: &mut sqlx::PgConnection, function: &str) -> Vec<(String, String)> {
    let columns = format!(
        "select string_agg(name || ' ' || format_type(type, null), ',' order by at) from pg_proc,
        unnest(proargnames, proallargtypes, proargmodes) with ordinality it (name, type, mode, at)
        where pronamespace = 'partner_api'::regnamespace and proname = '{function}' and mode = 't'"
    );
    let columns = text(emr, &columns).await;
    columns
        .split(',')
        .map(|it| it.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_in_every_column_is_found_and_repaired() {
    let (office, mut emr) = attached().await;
    run(&mut emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    run(&mut emr, &event(8, "1", "", "2031-03-10", "12:00", 60)).await;
    let mut number = 0;
    for (function, table, of, finding) in [
        ("emr_providers", "providers", "provider_id = 1", "provider: different"),
        ("emr_patients", "patients", "patient_id = 1001", "patient: different"),
        ("emr_visits", "visits", "patient_id = 1001", "event: different"),
        ("emr_rooms", "resources", "resource_id = 101", "rooms: different"),
        ("emr_visit_types", "visit_types", "visit_type = 'Consult'", "visit type: different"),
        (
            "emr_time_off",
            "schedule_exceptions",
            "exception_id in (select exception_id from bridge_time_off)",
            "event: different time off",
        ),
    ] {
        let columns = copied(&mut emr, function).await;
        for (column, kind) in &columns[1..] {
            let other = match (table, column.as_str(), kind.as_str()) {
                // A partner's full name stays until its parts change; a series is recomputed; the
                // other column is the key of ours.
                ("patients", "full_name", _)
                | ("schedule_exceptions", "in_series", _)
                | ("visit_types", "visit_type", _) => continue,
                (_, "patient_id", _) => "1002".to_owned(),
                (_, "provider_id", _) => "2".to_owned(),
                (_, "room_id", _) => "102".to_owned(),
                (_, "visit_type", _) => "'FOLLOWUP'".to_owned(),
                (_, "status", _) => "'Confirmed'".to_owned(),
                (_, _, "text") => format!("coalesce({column}, '') || '~'"),
                (_, _, "boolean") => format!("not {column}"),
                (_, _, "date") => format!("coalesce({column}, '2031-01-01') + 1"),
                (_, _, "time without time zone") => format!("{column} + interval '1 min'"),
                (_, _, "bigint") => format!("{column} + 1"),
                other => panic!("a value for {other:?}"),
            };
            is_repaired(&office.db, &format!("update {table} set {column} = {other} where {of}"), finding)
                .await;
            number += 1;
        }
    }
    assert!(number > 30, "{number}");
}
