//! Capacity units of deliveries, as the DynamoDB stand-in counts them (`ReturnConsumedCapacity`).

use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem};
use futures::future::join_all;
use serde_json::json;
use shared::{
    control::deliveries::{Attempt, Claimed, CountChange, Delivery},
    domain::{
        EventScope, PracticePass,
        delivery::DeliveryStatus,
        ids::{LogId, PartnerId, SubscriptionId},
        webhook_event::{Action, EventMessage, WebhookEvent},
    },
};

use crate::{
    office::{Answer, Engine, Office, Receiver, template},
    pipeline::{deliver, poll},
};

/// Maximum write units of a successful delivery: its claim (1), its outcome (2, in a transaction),
/// the two indexes that list it (1 each) and its share of the practice's count (2 per transaction).
const MOST_UNITS: f64 = 7.0;

async fn office_with(receiver: &Receiver) -> Office {
    let office = Office::open(Engine::Sqlite).await;
    let signup = json!({ "hookUrl": receiver.url, "scopes": ["Claims"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    office
}

async fn events(office: &Office, ids: std::ops::RangeInclusive<i64>) {
    for id in ids {
        office
            .sql(&format!(
                "insert into log (log_id, table_name, action, record_id, logged_at) values \
            ({id}, 'claims', 'insert', {id}, '2026-03-09T12:00:00Z')"
            ))
            .await;
    }
    poll(office).await;
}

fn deliveries_table(office: &Office) -> &str {
    let at = template().tables.iter().position(|it| it.id == "DeliveriesTable").unwrap();
    &office.tables[at]
}

/// Delivers the queued events and returns the write units used.
async fn units(office: &Office) -> f64 {
    office.store_calls.meter();
    assert_eq!(deliver(office).await, 0);
    office.store_calls.written()
}

#[tokio::test]
async fn a_successful_delivery_costs_seven_write_units_and_less_in_a_batch() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    events(&office, 1..=1).await;
    // The first delivery leases ids and records the endpoint's first success.
    units(&office).await;
    events(&office, 2..=2).await;
    let alone = units(&office).await;
    assert!((1.0..=MOST_UNITS).contains(&alone), "{alone}");
    events(&office, 3..=12).await;
    let ten = units(&office).await;
    assert!(ten / 10.0 <= MOST_UNITS, "{ten}");
    assert_eq!(receiver.received().len(), 12);
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    assert_eq!(monitor.expect(200)["summary"]["totalDeliveries"], 12);
}

#[tokio::test]
async fn the_longest_names_fit_into_one_write_unit() {
    let office = Office::open(Engine::Sqlite).await;
    let practicepass = PracticePass::try_from("P".repeat(40).as_str()).unwrap();
    let now = office.app.clock.now();
    let event = WebhookEvent {
        practicepass,
        log_id: LogId(9_007_199_254_740_991),
        epoch: 0,
        event: EventScope::Encounters,
        action: Action::Created,
        record_id: 9_007_199_254_740_991,
        occurred_at: now,
    };
    let partner = PartnerId("prt_0123456789abcdef".into());
    let message = EventMessage::new(event, SubscriptionId(123_456), 3, partner, 1);
    office.app.control.next_delivery_id().await.unwrap();
    office.store_calls.meter();
    let id = office.app.control.next_delivery_id().await.unwrap();
    let claimed = office.app.control.claim_first(Delivery::of_event(&message, id, now), now).await.unwrap();
    let Claimed::Yes(mut delivery) = claimed else { panic!("no other process can claim it") };
    let attempt = Attempt {
        at: now,
        status_code: Some(200),
        duration_ms: Some(14_999),
        error_message: None,
        answer: String::new(),
    };
    delivery.record(attempt, DeliveryStatus::Delivered, None);
    office.app.control.record_outcome(*delivery, CountChange { total: 1, failed: 0 }, 0, now).await.unwrap();
    let written = office.store_calls.written();
    assert!((1.0..=MOST_UNITS).contains(&written), "{written}");
}

#[tokio::test]
async fn an_endpoint_response_is_stored_once_and_in_no_index() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    events(&office, 1..=1).await;
    receiver.then(Answer::status(500).body("x".repeat(10_000)));
    let failed = units(&office).await;
    // The claim; the outcome of at most 4 KB, twice; three indexes; the count.
    assert!(failed <= 1.0 + 2.0 * 4.0 + 3.0 + 2.0 + 3.0, "{failed}");
    for index in ["feed", "byPractice", "due"] {
        let at = office
            .dynamodb
            .scan()
            .table_name(deliveries_table(&office))
            .index_name(index)
            .send()
            .await
            .unwrap();
        for item in at.items() {
            assert!(!item.contains_key("history"), "{index}");
        }
    }
    for (attempt, time) in [(2, "2026-03-09T12:00:07Z"), (3, "2026-03-09T12:06:00Z")] {
        office.set_time(time);
        receiver.then(Answer::status(500).body(format!("answer {attempt}")));
        let key = Delivery::key_of(office.db.practicepass(), SubscriptionId(1), LogId(1));
        let message = office.app.control.delivery(&key).await.unwrap().unwrap().next_message().unwrap();
        let body = serde_json::to_string(&message).unwrap();
        webhook_fanout::deliver(&office.app, webhook_fanout::Lane::Fast, crate::pipeline::event(&[&body]))
            .await;
        let kept = office.app.control.delivery(&key).await.unwrap().unwrap();
        let answers: Vec<&str> = kept.history.iter().map(|it| it.answer.as_str()).collect();
        assert_eq!(answers.len(), attempt);
        let newest = format!("answer {attempt}");
        assert!(
            answers[..attempt - 1].iter().all(|it| it.is_empty()) && answers[attempt - 1] == newest,
            "{answers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_outcomes_are_written_in_one_batch_and_counted_exactly() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    for id in 1..=30 {
        if id % 3 == 0 {
            receiver.then(Answer::status(500));
        } else {
            receiver.then(Answer::status(200));
        }
    }
    events(&office, 1..=30).await;
    office.store_calls.take();
    assert_eq!(deliver(&office).await, 0);
    let transactions = office.store_calls.take().iter().filter(|it| *it == "TransactWriteItems").count();
    assert!(transactions < 30, "{transactions}");
    let counts = office.app.control.delivery_counts(office.db.practicepass()).await.unwrap();
    assert_eq!((counts.total, counts.failed), (30, 10));
    assert_eq!(office.app.control.all_delivery_counts().await.unwrap(), counts);
}

#[tokio::test]
async fn a_rejected_outcome_does_not_affect_the_others() {
    let office = Office::open(Engine::Sqlite).await;
    let (control, now) = (&office.app.control, office.app.clock.now());
    let mut claimed = Vec::new();
    for log_id in 1..=5 {
        let event = WebhookEvent {
            practicepass: office.db.practicepass().clone(),
            log_id: LogId(log_id),
            epoch: 0,
            event: EventScope::Claims,
            action: Action::Created,
            record_id: 1,
            occurred_at: now,
        };
        let message = EventMessage::new(event, SubscriptionId(1), 1, PartnerId("prt_acme".into()), 1);
        let id = control.next_delivery_id().await.unwrap();
        let Claimed::Yes(delivery) =
            control.claim_first(Delivery::of_event(&message, id, now), now).await.unwrap()
        else {
            panic!("no other process can claim it")
        };
        claimed.push(*delivery);
    }
    // Another process has claimed the third meanwhile.
    office.set_time("2026-03-09T12:02:00Z");
    let key = claimed[2].key.clone();
    let later = office.app.clock.now();
    assert!(matches!(control.claim_again(&key, 1, 7, later).await.unwrap(), Claimed::Yes(_)));
    let outcomes = join_all(claimed.into_iter().map(|mut delivery| {
        let attempt = Attempt {
            at: now,
            status_code: Some(200),
            duration_ms: Some(1),
            error_message: None,
            answer: String::new(),
        };
        delivery.record(attempt, DeliveryStatus::Delivered, None);
        control.record_outcome(delivery, CountChange { total: 1, failed: 0 }, 3, now)
    }));
    let ended: Vec<bool> = outcomes.await.iter().map(Result::is_ok).collect();
    assert_eq!(ended, [true, true, false, true, true]);
    assert_eq!(control.delivery_counts(office.db.practicepass()).await.unwrap().total, 4);
}

/// By DynamoDB's documentation: one write unit per KB, two in a transaction. An index counts only
/// when its entry changes, and twice when its key changes.
#[tokio::test]
async fn the_stand_in_counts_write_units_as_documented() {
    let office = Office::open(Engine::Sqlite).await;
    let table = deliveries_table(&office);
    let item = |place: &str, bytes: usize| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        std::collections::HashMap::from([
            ("pk".to_owned(), text("D#units")),
            ("feedPk".to_owned(), text("FEED#0")),
            ("feedPlace".to_owned(), text(place)),
            ("history".to_owned(), text(&"x".repeat(bytes))),
        ])
    };
    let put = async |place: &str, bytes| {
        let put = office.dynamodb.put_item().table_name(table).set_item(Some(item(place, bytes)));
        let put = put.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await.unwrap();
        put.consumed_capacity.unwrap().capacity_units.unwrap()
    };
    for (place, bytes, units) in [
        ("open#1", 100, 2.0),      // the item and its entry
        ("open#1", 1_500, 2.0),    // 2 KB; the entry is unchanged
        ("open#1", 3_500, 4.0),    // 4 KB
        ("delivered#1", 100, 6.0), // the larger of the two; the entry is deleted and inserted
        ("delivered#1", 100, 1.0), // the entry is unchanged
    ] {
        assert!((put(place, bytes).await - units).abs() < 0.01, "{place} {bytes}: not {units}");
    }
    let write = Put::builder().table_name(table).set_item(Some(item("delivered#1", 1_500))).build().unwrap();
    let write = TransactWriteItem::builder().put(write).build();
    let both = office.dynamodb.transact_write_items().transact_items(write);
    let both = both.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await.unwrap();
    assert!((both.consumed_capacity()[0].capacity_units.unwrap() - 4.0).abs() < 0.01);
}
