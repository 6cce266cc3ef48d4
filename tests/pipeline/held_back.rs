//! The list of endpoints that are held back: read by key, at any number of subscriptions.

use std::time::Duration;

use serde_json::{Value, json};
use shared::{
    control::subscriptions::{BUCKETS, Failed, LastError, Slots, Subscription},
    domain::{EventScope, PracticePass, ids::PartnerId},
};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

use super::{
    fanout::{office_with, subscription},
    subscribe,
};
use crate::office::{Engine, Office, Receiver, external, store_behind};

const MANY: usize = 100_000;
/// Maximum calls of the store for a monitor, at any number of subscriptions and deliveries.
const MOST_OF_A_MONITOR: usize = 130;

async fn breakers(office: &Office, practicepass: &str) -> Vec<(String, String)> {
    let path = format!("/v1/admin/webhooks/monitor?practicepass={practicepass}");
    let path = if practicepass.is_empty() { "/v1/admin/webhooks/monitor" } else { &path };
    let shown = office.admin("GET", path, None).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = shown.expect(200)["breakers"].as_array().unwrap().clone();
    rows.iter().map(|it| (text(&it["practicepass"]), text(&it["state"]))).collect()
}

fn error(office: &Office) -> LastError {
    LastError { at: office.app.clock.now(), status_code: Some(500), message: None }
}

async fn fails(office: &Office, subscription: &mut Subscription) {
    office.app.control.note_failure(subscription, Failed::Open(None), error(office)).await.unwrap();
}

async fn rejects(office: &Office, subscription: &mut Subscription) {
    let second = Some(Duration::from_secs(1));
    office.app.control.note_rejection(subscription, None, second, error(office)).await.unwrap();
}

/// Returns the time at which the subscription is listed, if it is.
async fn place(office: &Office) -> Option<String> {
    let at = crate::office::template().tables.iter().position(|it| it.id == "ControlTable").unwrap();
    let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let request = office.dynamodb.get_item().table_name(&office.tables[at]).consistent_read(true);
    let item = request.key("pk", key("PRACTICE#DemoOffice")).key("sk", key("SUB#prt_acme")).send().await;
    let item = item.unwrap().item.unwrap();
    let place = item.get("heldBackSk")?.as_s().unwrap().clone();
    Some(place.split('#').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_subscription_is_in_the_list_exactly_while_it_is_held_back() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let (control, now) = (&office.app.control, office.app.clock.now());
    let mut known = subscription(&office).await;
    let until_changed = Some("~".to_owned());
    assert_eq!(place(&office).await, None);
    control.note_failure(&mut known, Failed::Note, error(&office)).await.unwrap();
    assert_eq!(place(&office).await, None, "a first failure holds nothing back");
    control.note_slow(&mut known, now).await.unwrap();
    assert_eq!(place(&office).await, until_changed);
    // Another slow answer restarts the count of quick ones.
    for _ in 0..4 {
        control.note_speed(&mut known, true, now).await.unwrap();
    }
    control.note_slow(&mut known, now).await.unwrap();
    known = subscription(&office).await;
    control.note_speed(&mut known, true, now).await.unwrap();
    assert_eq!((place(&office).await, known.breaker.is_slow()), (until_changed.clone(), true));
    control.note_slow(&mut known, now).await.unwrap();
    fails(&office, &mut known).await;
    control.note_success(&mut known, now).await.unwrap();
    assert_eq!(place(&office).await, until_changed, "its circuit is closed, but it is still slow");
    rejects(&office, &mut known).await;
    for _ in 0..5 {
        control.note_speed(&mut known, true, now).await.unwrap();
    }
    assert_eq!(place(&office).await.as_deref(), Some("2026-03-09T14:00:00Z"), "until its pace expires");
    let Slots::Taken(slots) = control.take_slots(&mut known, 1, now).await.unwrap() else { panic!() };
    control.lift_pace(&mut known, &slots[0]).await.unwrap();
    assert_eq!(place(&office).await, None);

    // A change by somebody who has not seen the others.
    let mut stale = subscription(&office).await;
    control.note_slow(&mut known, now).await.unwrap();
    rejects(&office, &mut stale).await;
    assert_eq!(place(&office).await, until_changed, "the record counts, not what its writer knows");

    // A new secret changes nothing; another URL resets everything.
    office.post("/v1/webhooks/rotate-secret", &json!({})).await.expect(200);
    assert_eq!(place(&office).await, until_changed);
    crate::webhooks::sign_up(&office, &Receiver::start().await.url, &["Claims"]).await;
    assert_eq!(place(&office).await, None);

    fails(&office, &mut subscription(&office).await).await;
    assert_eq!(place(&office).await, until_changed);
    let gone = shared::control::subscriptions::DisabledReason::EndpointGone;
    control.disable_subscription(&subscription(&office).await, gone, now).await.unwrap();
    assert_eq!(place(&office).await, None);
}

#[tokio::test]
async fn a_change_that_failed_to_be_listed_is_listed_with_the_next() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let store = store_behind(&office, async |call| !call.body.contains("SET heldBackPk")).await;
    let mut known = subscription(&office).await;
    store.note_slow(&mut known, office.app.clock.now()).await.unwrap();
    assert_eq!(breakers(&office, "").await, []);
    let slow = [("DemoOffice".to_owned(), "slow".to_owned())];
    assert_eq!(breakers(&office, "DemoOffice").await, slow, "for one practice, the records are read");
    office.app.control.note_slow(&mut known, office.app.clock.now()).await.unwrap();
    assert_eq!(breakers(&office, "").await, slow);
}

#[tokio::test]
async fn an_expired_pace_is_not_shown_and_hides_no_current_one() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let mut held = subscription(&office).await;
    let hour = Some(Duration::from_hours(1));
    office.app.control.note_rejection(&mut held, None, hour, error(&office)).await.unwrap();
    for (time, expected) in [
        ("2026-03-09T12:59:59Z", Some("held")),
        ("2026-03-09T13:00:00Z", Some("paced")),
        ("2026-03-09T13:59:59Z", Some("paced")),
        ("2026-03-09T14:00:00Z", None),
        ("2026-03-09T15:00:00Z", None),
        ("2026-03-10T12:00:00Z", None),
    ] {
        office.set_time(time);
        for practicepass in ["", "DemoOffice"] {
            let shown = breakers(&office, practicepass).await;
            assert_eq!(shown.first().map(|(_, state)| state.as_str()), expected, "{time} {practicepass}");
        }
        let found = office.app.control.held_back_subscriptions(None, 9, office.app.clock.now()).await;
        assert_eq!(found.unwrap().len(), usize::from(expected.is_some()), "{time}");
        assert_eq!(breakers(&office, "OtherOffice").await, [], "{time}");
    }
    // The records of five still have paces, but are not read.
    let demo = office.db.practicepass();
    for number in 11..=14 {
        subscribe(&office, demo, number, &[EventScope::Claims]).await;
        let partner = PartnerId(format!("prt_{number}"));
        let mut other = office.app.control.subscription(demo, &partner).await.unwrap().unwrap();
        rejects(&office, &mut other).await;
    }
    office.set_time("2026-03-10T15:00:00Z");
    let practicepass = PracticePass::try_from("Zoo").unwrap();
    subscribe(&office, &practicepass, 7, &[EventScope::Claims]).await;
    let partner = PartnerId("prt_7".into());
    let mut other = office.app.control.subscription(&practicepass, &partner).await.unwrap().unwrap();
    fails(&office, &mut other).await;
    office.store_calls.take();
    let first = office.app.control.held_back_subscriptions(None, 1, office.app.clock.now()).await.unwrap();
    assert_eq!(first.iter().map(|it| it.id.0).collect::<Vec<_>>(), [7]);
    assert_eq!(office.store_calls.take().len(), usize::try_from(BUCKETS).unwrap());
}

/// Copies `DemoOffice`'s healthy subscription, writing directly to the file of the DynamoDB
/// stand-in.
async fn multiply(office: &Office) {
    let address = format!("sqlite://{}", office.store_file.display());
    let mut file = SqliteConnection::connect(&address).await.unwrap();
    let numbers = format!(
        "with recursive numbers (n) as (select 1001 union all select n + 1 from numbers where n < {})",
        1_000 + MANY
    );
    let name = "printf('Practice%06d', n)";
    let item = format!(
        "json_set(item_json, '$.pk.S', 'PRACTICE#' || {name}, '$.practicepass.S', {name}, '$.id.N', '' || n, \
         '$.gsi1pk.S', 'ACTIVE_SUBSCRIPTIONS#' || (n % 16))"
    );
    let of_index = |index: &str, partition: &str, place: &str| {
        format!(
            "insert into \"ControlTable::gsi::{index}\" (gsi_pk, gsi_sk, table_pk, table_sk, item_json) \
             {numbers} select {partition}, {place}, 'S:PRACTICE#' || {name}, table_sk, {item} \
             from numbers, \"ControlTable::gsi::{index}\" \
             where table_pk = 'S:PRACTICE#DemoOffice' and table_sk = 'S:SUB#prt_acme'"
        )
    };
    for copies in [
        format!(
            "insert into \"ControlTable\" (pk, sk, item_json, item_size) {numbers} \
             select 'S:PRACTICE#' || {name}, sk, {item}, item_size from numbers, \"ControlTable\" \
             where pk = 'S:PRACTICE#DemoOffice' and sk = 'S:SUB#prt_acme'"
        ),
        of_index("gsi1", "'S:ACTIVE_SUBSCRIPTIONS#' || (n % 16)", &format!("'S:' || {name} || '#' || n")),
        of_index("gsi2", "gsi_pk", "printf('S:%016d', n)"),
    ] {
        let copied = file.execute(AssertSqlSafe(copies)).await.unwrap().rows_affected();
        assert_eq!(usize::try_from(copied).unwrap(), MANY);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_calls_find_the_held_back_among_a_hundred_thousand_subscriptions() {
    if external().is_some() {
        return;
    }
    let receiver = Receiver::start().await;
    let office = Office::open(Engine::Sqlite).await;
    crate::webhooks::sign_up(&office, &receiver.url, &["Claims"]).await;
    multiply(&office).await;
    let (control, now) = (&office.app.control, office.app.clock.now());
    // The last of all, and some in between.
    let held = ["Practice001001", "Practice051234", "Practice101000"];
    for (number, name) in (0..).zip(held) {
        let practicepass = PracticePass::try_from(name).unwrap();
        let found = control.subscription(&practicepass, &PartnerId("prt_acme".into())).await.unwrap();
        let mut found = found.unwrap();
        match number {
            0 => control.note_slow(&mut found, now).await.unwrap(),
            1 => fails(&office, &mut found).await,
            _ => rejects(&office, &mut found).await,
        }
    }
    office.store_calls.take();
    let found = control.held_back_subscriptions(None, 100, now).await.unwrap();
    assert_eq!(found.iter().map(|it| it.practicepass.as_str()).collect::<Vec<_>>(), held);
    let calls = office.store_calls.take().len();
    assert!(calls <= usize::try_from(BUCKETS).unwrap(), "{calls} calls");
    let practicepass = PracticePass::try_from(held[2]).unwrap();
    assert_eq!(control.held_back_subscriptions(Some(&practicepass), 100, now).await.unwrap().len(), 1);
    assert_eq!(office.store_calls.take().len(), 1);

    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    let calls = office.store_calls.take().len();
    assert!(calls <= MOST_OF_A_MONITOR, "{calls} calls");
    let body = monitor.expect(200);
    let states: Vec<&str> =
        body["breakers"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["slow", "open", "held"]);
    assert_eq!(body["summary"]["activeSubscriptions"], 10_000, "counting stops there");
    for (name, expected) in [("DemoOffice", 1), ("OtherOffice", 0)] {
        let path = format!("/v1/admin/webhooks/monitor?practicepass={name}");
        let monitor = office.admin("GET", &path, None).await;
        assert_eq!(monitor.expect(200)["summary"]["activeSubscriptions"], expected, "{name}");
    }
}

#[tokio::test]
async fn subscriptions_are_listed_newest_first_from_all_partitions() {
    let office = Office::open(Engine::Sqlite).await;
    for number in 1..=40 {
        subscribe(&office, office.db.practicepass(), number, &[EventScope::Claims]).await;
    }
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = office.admin("GET", &format!("/v1/admin/webhooks?limit=7{cursor}"), None).await;
        let body = page.expect(200).clone();
        ids.extend(body["data"].as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()));
        let Some(next) = body["pagination"]["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids, (1..=40).rev().collect::<Vec<i64>>());
}
