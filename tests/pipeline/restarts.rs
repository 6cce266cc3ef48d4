//! A practice's database that was restored, or whose log restarted.

use serde_json::{Value, json};
use shared::{
    control::deliveries::Delivery,
    domain::{
        ids::{LogId, SubscriptionId},
        webhook_event::EventNumber,
    },
};
use tracing::instrument::WithSubscriber;

use super::{deliver, fanout::office_with, odd_ids::dispatch_state, poll, row, write};
use crate::{
    office::{Engine, Logs, Office, ReceivedCall, Receiver, on_both_databases},
    webhooks::sign_up,
};

const URL: &str = "https://partner.example.com/hook";

/// Receives the queued events, deletes them and returns their ids.
async fn take_event_ids(office: &Office) -> Vec<String> {
    let mut ids = Vec::new();
    for message in super::receive(office).await {
        let body: shared::domain::webhook_event::EventMessage = serde_json::from_str(&message.body).unwrap();
        ids.push(body.event().event_id());
        office.queue.delete(&message).await;
    }
    ids.sort_unstable();
    ids
}

/// Writes rows with other contents than those of [`write`].
async fn write_others(office: &Office, ids: std::ops::RangeInclusive<i64>) {
    let rows: Vec<String> =
        ids.map(|id| row(id, "claims").replace(&format!(", {},", id * 10), ", 77,")).collect();
    office.sql(&rows.join(";")).await;
}

async fn a_restarted_log_is_read_from_its_start_under_new_event_ids(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    for id in 1..=5 {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, [1, 2, 3, 4, 5].map(|id| format!("DemoOffice-{id}")));
    office.sql("delete from log").await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, Vec::<String>::new(), "an empty log sends nothing");
    write_others(&office, 1..=3).await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, [1, 2, 3].map(|id| format!("DemoOffice-1.{id}")));
    write_others(&office, 4..=7).await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, [4, 5, 6, 7].map(|id| format!("DemoOffice-1.{id}")));
    let state = dispatch_state(&office).await;
    assert_eq!((&state["lastLogId"], &state["epoch"]), (&json!(7), &json!(1)));
    assert_eq!(state["epochSince"], "2026-03-09T12:00:00Z");
    office.sql("delete from log").await;
    write(&office, 2, "claims").await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, ["DemoOffice-2.2"], "a second restart, with other ids");
}
on_both_databases!(a_restarted_log_is_read_from_its_start_under_new_event_ids);

async fn a_cleared_log_is_not_a_restarted_one(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    for id in 1..=3 {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    for clear in ["delete from log", "delete from log where log_id < 5"] {
        office.sql(clear).await;
        poll(&office).await;
        write(&office, if clear.ends_with('g') { 4 } else { 5 }, "claims").await;
        poll(&office).await;
    }
    assert_eq!(take_event_ids(&office).await, [1, 2, 3, 4, 5].map(|id| format!("DemoOffice-{id}")));
    assert_eq!(dispatch_state(&office).await.get("epoch"), None);
}
on_both_databases!(a_cleared_log_is_not_a_restarted_one);

async fn a_restored_log_is_read_from_the_last_unchanged_row(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    for id in 1..=9 {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    take_event_ids(&office).await;
    // Restored, and detected before further rows were written.
    office.sql("delete from log where log_id > 7").await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, Vec::<String>::new());
    assert_eq!(dispatch_state(&office).await["epoch"], 1);
    write_others(&office, 8..=8).await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, ["DemoOffice-1.8"]);
    // Restored, and grown past the old end between two polls.
    office.sql("delete from log where log_id > 6").await;
    for id in 7..=12 {
        write(&office, id, "Claim").await;
    }
    poll(&office).await;
    assert_eq!(
        take_event_ids(&office).await,
        [
            "DemoOffice-2.10",
            "DemoOffice-2.11",
            "DemoOffice-2.12",
            "DemoOffice-2.7",
            "DemoOffice-2.8",
            "DemoOffice-2.9"
        ]
    );
}
on_both_databases!(a_restored_log_is_read_from_the_last_unchanged_row);

async fn each_subscription_gets_only_later_rows_after_a_restart(office: Office) {
    for id in 1..=9 {
        write(&office, id, "claims").await;
    }
    sign_up(&office, URL, &["Claims"]).await;
    poll(&office).await;
    office.sql("delete from log").await;
    // Rows from an old backup, and later rows.
    let old = row(1, "claims").replace("2026-03-09T12:00:00Z", "2026-03-09T11:00:00Z");
    office.sql(&old).await;
    write(&office, 2, "claims").await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, ["DemoOffice-1.2"]);
    office.sql(&row(3, "claims").replace("2026-03-09T12:00:00Z", "2026-03-09T02:00:00Z")).await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, ["DemoOffice-1.3"], "a program that backdates its rows");
    // A subscription that begins in the new epoch follows its ids.
    office.delete("/v1/webhooks").await.expect(200);
    write(&office, 4, "claims").await;
    sign_up(&office, URL, &["Claims"]).await;
    write(&office, 5, "claims").await;
    poll(&office).await;
    assert_eq!(take_event_ids(&office).await, ["DemoOffice-1.5"]);
}
on_both_databases!(each_subscription_gets_only_later_rows_after_a_restart);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_new_epoch_are_separate_deliveries_with_stable_ids() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    write(&office, 1, "claims").await;
    poll(&office).await;
    assert_eq!(deliver(&office).await, 0);
    office.sql("delete from log").await;
    write_others(&office, 1..=1).await;
    poll(&office).await;
    assert_eq!(deliver(&office).await, 0);
    let requests = receiver.received();
    let ids: Vec<&str> = requests.iter().map(|it| it.header("x-officepro-event-id")).collect();
    assert_eq!(ids, ["DemoOffice-1", "DemoOffice-1.1"]);
    let bodies: Vec<Value> = requests.iter().map(ReceivedCall::json).collect();
    assert_eq!((&bodies[0]["logId"], bodies[0].get("logEpoch")), (&json!(1), None));
    assert_eq!((&bodies[1]["logId"], &bodies[1]["logEpoch"]), (&json!(1), &json!(1)));
    assert_eq!(bodies[1]["eventId"], "DemoOffice-1.1");
    let event = EventNumber { epoch: 1, log_id: LogId(1) };
    let key = Delivery::key_of(office.db.practicepass(), SubscriptionId(1), event);
    let delivery = office.app.control.delivery(&key).await.unwrap().unwrap();
    let retry = format!("/v1/webhooks/deliveries/{}/retry", delivery.id);
    office.post(&retry, &json!({})).await.expect(200);
    assert_eq!(receiver.received()[2].header("x-officepro-event-id"), "DemoOffice-1.1");
    assert_eq!(receiver.received()[2].json(), bodies[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_a_jump_and_an_unreadable_row_each_raise_one_alarm() {
    let office = Office::open(Engine::Sqlite).await;
    sign_up(&office, URL, &["Claims"]).await;
    let logs = Logs::default();
    let faults = async |what: &str| {
        let before = logs.of(what).len();
        for _ in 0..2 {
            Box::pin(poll(&office)).with_subscriber(logs.subscriber()).await;
        }
        let lines = logs.of(what);
        assert_eq!(lines.len(), before + 1, "{what}: {}", logs.text());
        assert_eq!(
            (&lines[before]["LogFaults"], &lines[before]["practice"]),
            (&json!(1), &json!("DemoOffice"))
        );
    };
    write(&office, 1, "claims").await;
    write(&office, 1_000_000, "claims").await;
    faults("log ids jump; rows on both sides of the jump are read").await;
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values (2, 'claims', \
        'insert', 'x', '')",
        )
        .await;
    faults("a row of the log can't be read; it is passed").await;
    office.sql("delete from log").await;
    write_others(&office, 1..=1).await;
    faults("the log was restored or started over; event ids have a new epoch").await;
}

async fn a_practice_that_is_removed_and_added_again_has_new_event_ids(office: Office) {
    let practice = shared::domain::PracticePass::try_from("DemoOffice").unwrap();
    for epoch in 0..3 {
        sign_up(&office, URL, &["Claims"]).await;
        write(&office, 10 + epoch, "claims").await;
        poll(&office).await;
        let number = if epoch == 0 { "10".to_owned() } else { format!("{epoch}.{}", 10 + epoch) };
        assert_eq!(take_event_ids(&office).await, [format!("DemoOffice-{number}")]);
        for subscription in office.app.control.subscriptions_of(&practice).await.unwrap() {
            office.app.control.delete_subscription(&subscription).await.unwrap();
        }
        assert!(office.app.control.forget_dispatch(&practice).await.unwrap());
        assert!(!office.app.control.forget_dispatch(&practice).await.unwrap(), "nothing is left");
    }
}
on_both_databases!(a_practice_that_is_removed_and_added_again_has_new_event_ids);
