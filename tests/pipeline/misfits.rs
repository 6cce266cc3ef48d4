//! Rows as an EMR's programs write them: each becomes an event or is counted.

use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

use super::{deliver, fanout::office_with, odd_ids::dispatch_state, poll, row, take_log_ids, write};
use crate::{
    office::{Engine, Logs, Office, ReceivedCall, Receiver, on_both_databases},
    webhooks::sign_up,
};

const URL: &str = "https://partner.example.com/hook";

async fn insert(office: &Office, id: i64, table: &str, action: &str, at: &str) {
    let text = format!(
        "insert into log (log_id, table_name, action, record_id, logged_at) values ({id}, '{table}', \
            '{action}', {id}, '{at}')"
    );
    office.sql(&text).await;
}

async fn rows_without_a_scope_are_counted_by_table_and_verb(office: Office) {
    sign_up(&office, URL, &["Claims", "Patients"]).await;
    let rows = [
        ("tblPatients", "merge"),
        ("dbo.Patients", "cancel"),
        ("sessions", "login"),
        ("[dbo].[Claim]", "UPSERT"),
        ("sessions", "login"),
        ("claims", "printed"),
        ("CLAIMS", "I"),
        ("sessions", "login"),
    ];
    for (id, (table, action)) in (1..).zip(rows) {
        insert(&office, id, table, action, "2026-03-09T12:00:00Z").await;
    }
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [1, 2, 4, 7]);
    let state = dispatch_state(&office).await;
    assert_eq!(
        state["unknown"],
        json!([
            { "table": "sessions", "action": "login", "rows": 3, "lastLogId": 8 },
            { "table": "claims", "action": "printed", "rows": 1, "lastLogId": 6 },
        ])
    );
    for id in 9..40 {
        insert(&office, id, &format!("table {id}"), "x", "2026-03-09T12:00:00Z").await;
    }
    poll(&office).await;
    let state = dispatch_state(&office).await;
    assert_eq!(state["unknown"].as_array().unwrap().len(), 20);
    assert_eq!(state["otherUnknownRows"], json!(3 + 1 + 11));
}
on_both_databases!(rows_without_a_scope_are_counted_by_table_and_verb);

/// `occurredAt` of each event in the queue, by log id.
async fn times(office: &Office) -> Vec<Value> {
    let mut bodies: Vec<Value> =
        super::queued(office).await.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    bodies.sort_by_key(|it: &Value| it["logId"].as_i64());
    bodies.into_iter().map(|it| it["occurredAt"].clone()).collect()
}

async fn every_time_is_an_event(office: &Office, unreadable: &[&str], readable: &[&str]) {
    sign_up(office, URL, &["Claims"]).await;
    office.set_time("2026-03-09T12:34:56Z");
    for (id, at) in (1..).zip(readable.iter().chain(unreadable)) {
        insert(office, id, "claims", "insert", at).await;
    }
    poll(office).await;
    let times = times(office).await;
    let (read, replaced) = times.split_at(readable.len());
    assert!(read.iter().all(|it| it == "2026-11-28T10:00:00Z"), "{read:?}");
    assert_eq!(replaced, vec![json!("2026-03-09T12:34:56Z"); unreadable.len()]);
    let state = dispatch_state(office).await;
    assert_eq!(state["unreadableTimes"], json!(unreadable.len()));
    assert_eq!(state.get("unreadableRows"), None);
}

#[tokio::test]
async fn a_row_with_any_text_as_its_time_is_an_event() {
    let office = Office::open(Engine::Sqlite).await;
    let readable = [
        "2026-11-28T10:00:00Z",
        "2026-11-28 10:00:00",
        "2026-11-28T10:00:00.000",
        "2026-11-28 10:00",
        "2026-11-28 12:00:00+02:00",
        "2026-11-28 10:00:00+00",
        "2026/11/28 10:00:00",
        "11/28/2026 10:00 AM",
        "11-28-2026 10:00:00",
        "1795860000",
        "1795860000000",
    ];
    let unreadable = [
        "infinity",
        "-infinity",
        "yesterday",
        "",
        "28.11.2026",
        "20000-01-01 00:00:00+00",
        "99999999999999999",
    ];
    every_time_is_an_event(&office, &unreadable, &readable).await;
}

#[tokio::test]
async fn a_row_with_any_timestamp_is_an_event() {
    let office = Office::open(Engine::Postgres).await;
    let unreadable = ["infinity", "-infinity", "294276-12-31 23:59:59+00", "4713-01-01 00:00:00+00 BC"];
    every_time_is_an_event(&office, &unreadable, &["2026-11-28 10:00:00+00"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_id_beyond_json_precision_is_sent_as_text_too() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let large = 9_007_199_254_740_993_i64;
    office
        .sql(&format!(
            "insert into log (log_id, table_name, action, record_id, logged_at) \
        values (1, 'claims', 'insert', {large}, '2026-03-09T12:00:00Z')"
        ))
        .await;
    write(&office, 2, "claims").await;
    poll(&office).await;
    assert_eq!(deliver(&office).await, 0);
    let mut bodies: Vec<Value> = receiver.received().iter().map(ReceivedCall::json).collect();
    bodies.sort_by_key(|it| it["logId"].as_i64());
    assert_eq!(
        (&bodies[0]["recordId"], &bodies[0]["recordIdString"]),
        (&json!(large), &json!(large.to_string()))
    );
    assert_eq!((&bodies[1]["recordId"], bodies[1].get("recordIdString")), (&json!(20), None));
    let from_to = ["2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z"].map(|it| it.parse().unwrap());
    let subscription = super::fanout::subscription(&office).await;
    let (control, queue) = (&office.app.control, &office.app.queue);
    assert_eq!(control.replay(queue, &subscription, from_to.into(), true, "r1").await.unwrap(), 2);
    assert_eq!(deliver(&office).await, 0);
    let again = receiver.received()[2..].iter().map(ReceivedCall::json).filter(|it| *it == bodies[0]).count();
    assert_eq!(again, 1, "the same in a replay");
}

/// `SQLite` stores values of any type in any column.
#[tokio::test]
async fn a_row_with_any_column_values_is_read() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, URL, &["Claims"]).await;
    let blob = |text: &str| format!("cast('{text}' as blob)");
    let time = "2026-11-28T10:00:00Z";
    let rows = [
        [blob("claims"), blob("insert"), blob("9030"), blob(time), blob("r-1")],
        [blob("CLAIMS"), "'I'".into(), "' 9030 '".into(), "1795860000".into(), "7".into()],
        ["'claims'".into(), "'insert'".into(), "9030.0".into(), "1795860000000.0".into(), "null".into()],
        ["'claims'".into(), blob("create"), "'9030'".into(), blob("11/28/2026 10:00 AM"), "x'ff'".into()],
    ];
    for (id, row) in (1..).zip(&rows) {
        let columns = "log_id, table_name, action, record_id, logged_at, request_id";
        office.sql(&format!("insert into log ({columns}) values ({id}, {})", row.join(", "))).await;
    }
    poll(&office).await;
    let bodies = super::queued(&office).await;
    assert_eq!(bodies.len(), rows.len());
    for body in bodies {
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["recordId"], &body["occurredAt"]), (&json!(9030), &json!(time)), "{body}");
    }
    let state = dispatch_state(&office).await;
    assert_eq!((state.get("unreadableRows"), state.get("unreadableTimes")), (None, None));
}

/// Polls, and returns the number of alarms about rows without ids above 0.
async fn alarms(office: &Office) -> usize {
    let logs = Logs::default();
    Box::pin(poll(office)).with_subscriber(logs.subscriber()).await;
    let lines = logs.of("rows of the log have ids below 1; they are no events");
    assert!(lines.iter().all(|it| it["LogFaults"] == 1 && it["practice"] == "DemoOffice"), "{lines:?}");
    lines.len()
}

async fn rows_with_ids_below_1_are_counted_and_raise_an_alarm_once(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    for id in [-7, 0] {
        write(&office, id, "claims").await;
    }
    assert_eq!(alarms(&office).await, 1, "before any other row");
    write(&office, 1, "claims").await;
    assert_eq!(alarms(&office).await, 0, "they are known");
    assert_eq!(take_log_ids(&office).await, [1]);
    let state = dispatch_state(&office).await;
    assert_eq!((&state["unreadableRows"], &state["lastUnreadableLogId"]), (&json!(2), &json!(0)));
    assert_eq!((&state["lastLogId"], state.get("islands")), (&json!(1), None));
    write(&office, -900_000_000_000, "claims").await;
    assert_eq!(alarms(&office).await, 1, "one more");
    assert_eq!(dispatch_state(&office).await["unreadableRows"], 3);
    office.sql("delete from log").await;
    assert_eq!(alarms(&office).await, 0, "no such row is left");
    assert_eq!(dispatch_state(&office).await["unreadableRows"], 3, "they were lost anyway");
    write(&office, -8, "claims").await;
    assert_eq!(alarms(&office).await, 1, "new ones raise it again");
    let state = dispatch_state(&office).await;
    assert_eq!((&state["unreadableRows"], state.get("epoch")), (&json!(4), None));
}
on_both_databases!(rows_with_ids_below_1_are_counted_and_raise_an_alarm_once);

async fn a_log_with_negative_ids_is_reported_to_the_monitor(office: Office) {
    for id in -2_147_483_648..-2_147_483_645 {
        write(&office, id, "claims").await;
    }
    sign_up(&office, URL, &["Claims"]).await;
    // More rows than are counted.
    let rows: Vec<String> = (-2_147_483_645..-2_147_482_000).map(|id| row(id, "claims")).collect();
    office.sql(&rows.join(";")).await;
    assert_eq!(alarms(&office).await, 1);
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
    let state = dispatch_state(&office).await;
    assert_eq!(
        (&state["unreadableRows"], &state["lastUnreadableLogId"]),
        (&json!(1_000), &json!(-2_147_482_001))
    );
    write(&office, 1, "claims").await;
    assert_eq!(alarms(&office).await, 0);
    assert_eq!(take_log_ids(&office).await, [1]);
}
on_both_databases!(a_log_with_negative_ids_is_reported_to_the_monitor);

/// A row in flight at a sign-up counts as new in every format of its time.
#[tokio::test]
async fn a_row_in_flight_at_a_sign_up_is_sent_in_any_time_format() {
    for at in ["2026-03-09T12:00:00Z", "03/09/2026 12:00 PM", "2026-03-09 12:00:00", "infinity"] {
        let office = Office::open(Engine::Sqlite).await;
        let rows = |ids: std::ops::RangeInclusive<i64>| {
            format!(
                "with recursive ids (id) as (select {} union all select id + 1 from ids where id < {})
             insert into log (log_id, table_name, action, record_id, logged_at) select id, 'claims', \
             'insert', id, '{at}' from ids",
                ids.start(),
                ids.end(),
            )
        };
        office.sql(&rows(1..=4)).await;
        office.sql(&rows(6..=5_000)).await;
        sign_up(&office, URL, &["Claims"]).await;
        office.sql(&rows(5..=5)).await;
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [5], "{at}");
    }
}
