//! The load of each DynamoDB partition in a large installation: the product's own code calls a
//! store that only records keys and capacity units.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, future::join_all, stream};
use jiff::{SignedDuration, Timestamp};
use log_poller::Poll;
use serde_json::{Value, json};
use shared::{
    auth::webhook_signature::SigningSecret,
    control::{
        Store, TableNames,
        deliveries::{Attempt, Claimed, CountChange, Delivery},
        subscriptions::{
            Breaker, Failed, LastError, LastOutcomes, Subscription, SubscriptionStatus, bucket_of,
        },
    },
    domain::{
        EventScope, PracticePass,
        delivery::DeliveryStatus,
        ids::{LogId, PartnerId, SubscriptionId},
        log_progress::LogProgress,
        webhook_event::{Action, EventMessage, WebhookEvent},
    },
    egress::{HookUrl, Reach},
};

use crate::office::template;

/// Maximum capacity units per second of one partition.
pub(crate) const WRITES: f64 = 1_000.0;
pub(crate) const READS: f64 = 3_000.0;
/// Messages per batch of the fan-out.
const BATCH: usize = 10;
/// Practices that the poller processes concurrently.
const AT_ONCE: usize = 16;

/// The load of an installation in one second.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) practices: usize,
    pub(crate) deliveries_a_second: usize,
    /// The template's parameter `DeliveryShards`.
    pub(crate) shards: i64,
    /// Schedules of the poller.
    pub(crate) schedules: u32,
    /// The simulation makes one in `sample` deliveries and counts each `sample` times.
    pub(crate) sample: usize,
    /// Whether every endpoint fails, as when a partner of all practices is down.
    pub(crate) outage: bool,
}

/// Capacity units that one partition consumes in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Heat {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

/// Heat by table or index, and partition key.
pub(crate) type Heats = BTreeMap<(String, String), Heat>;

#[derive(Clone)]
struct Meter {
    heats: Arc<Mutex<Heats>>,
    /// Number of active subscriptions in each bucket's partition.
    listed: Arc<BTreeMap<String, usize>>,
    leased: Arc<Mutex<i64>>,
    /// The subscriptions, by practice and partner.
    subscriptions: Arc<Mutex<BTreeMap<(String, String), Value>>>,
}

fn text(value: &Value) -> String {
    let of = |kind: &str| value.get(kind).and_then(Value::as_str);
    of("S").or_else(|| of("N")).unwrap_or_default().to_owned()
}

impl Meter {
    fn add(&self, place: (&str, String), writes: f64, reads: f64) {
        let mut heats = self.heats.lock().unwrap();
        let heat = heats.entry((place.0.to_owned(), place.1)).or_default();
        heat.writes += writes;
        heat.reads += reads;
    }

    /// Counts a write of an item of at most 1 KB and of the indexes that its attributes select.
    fn write(&self, table: &str, key: &Value, attributes: &Value, units: f64) {
        self.add((table, text(&key["pk"])), units, 0.0);
        let shape = template().tables.iter().find(|it| it.id == table).unwrap();
        for index in &shape.indexes {
            if index.keys.iter().all(|one| attributes.get(&one.name).is_some()) {
                let name = format!("{table} {}", index.name);
                self.add((&name, text(&attributes[&index.keys[0].name])), 1.0, 0.0);
            }
        }
    }

    fn answer(&self, operation: &str, body: &Value) -> Value {
        let table = body["TableName"].as_str().unwrap_or_default();
        match operation {
            "PutItem" => self.write(table, &body["Item"], &body["Item"], 1.0),
            "UpdateItem" => {
                // Of what is updated, only subscriptions are in an index: no delivery waits.
                let key = &body["Key"];
                let subscriptions = self.subscriptions.lock().unwrap();
                let item = subscriptions.get(&(text(&key["pk"]), text(&key["sk"]))).cloned();
                drop(subscriptions);
                self.write(table, key, &item.unwrap_or_default(), 1.0);
                if text(&body["Key"]["pk"]).starts_with("COUNTER#") {
                    let mut leased = self.leased.lock().unwrap();
                    *leased += 25;
                    return json!({ "Attributes": { "leased": { "N": leased.to_string() } } });
                }
                return json!({ "Attributes": { "fence": { "N": "1" } } });
            }
            "TransactWriteItems" => {
                for one in body["TransactItems"].as_array().unwrap() {
                    let (put, update) = (&one["Put"], &one["Update"]);
                    if put.is_object() && text(&put["Item"]["sk"]).starts_with("SUB#") {
                        let key = (text(&put["Item"]["pk"]), text(&put["Item"]["sk"]));
                        self.subscriptions.lock().unwrap().insert(key, put["Item"].clone());
                    } else if put.is_object() {
                        self.write(put["TableName"].as_str().unwrap(), &put["Item"], &put["Item"], 2.0);
                    } else {
                        self.write(update["TableName"].as_str().unwrap(), &update["Key"], &Value::Null, 2.0);
                    }
                }
            }
            "GetItem" => self.add((table, text(&body["Key"]["pk"])), 0.0, 1.0),
            "Query" => {
                let values = body["ExpressionAttributeValues"].as_object().unwrap();
                let partition = text(&values[":pk"]);
                // Items of 1 KB, with eventually consistent reads.
                let units = self
                    .listed
                    .get(&partition)
                    .map_or(0.5, |items| f64::from(u32::try_from(*items).unwrap()) / 8.0);
                let name = format!("{table} {}", body["IndexName"].as_str().unwrap_or_default());
                self.add((name.trim_end(), partition), 0.0, units);
                return json!({ "Items": [], "Count": 0 });
            }
            _ => panic!("unexpected operation {operation}"),
        }
        json!({})
    }
}

async fn answer(State(meter): State<Meter>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let answer = meter.answer(operation, &serde_json::from_slice(&body).unwrap());
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string()).into_response()
}

fn practice(number: usize) -> PracticePass {
    PracticePass::try_from(format!("Practice{number:05}").as_str()).unwrap()
}

/// Returns the number of a practice's subscriptions: every other practice has two.
fn subscriptions(practice: usize) -> usize {
    1 + practice % 2
}

/// Simulates a second and returns the heat of each partition.
pub(crate) async fn simulate(load: Load) -> Heats {
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..load.practices {
        let bucket = format!("ACTIVE_SUBSCRIPTIONS#{}", bucket_of(&practice(number)));
        *listed.entry(bucket).or_default() += subscriptions(number);
    }
    let meter = Meter {
        heats: Arc::default(),
        listed: Arc::new(listed),
        leased: Arc::default(),
        subscriptions: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(
        axum::serve(listener, Router::new().fallback(answer).with_state(meter.clone())).into_future(),
    );
    let store = store_at(&endpoint, load.shards);
    let now: Timestamp = "2026-03-09T12:00:00Z".parse().unwrap();
    let mut known = sign_up(&store, load, now).await;
    meter.heats.lock().unwrap().clear();
    deliver(&store, load, now).await;
    sampled(&meter, load.sample);
    poll(&store, load, now).await;
    endpoints(&store, load, &mut known, now).await;
    let lists = (0..load.schedules).map(|shard| Poll { shard, of: load.schedules, once: false });
    // All schedules run in the same second.
    for schedule in lists {
        store.practices_with_subscriptions(schedule.buckets()).await.unwrap();
        store.subscriptions_version().await.unwrap();
    }
    for shard in 0..store.delivery_shards() {
        store.due_deliveries(shard, now, 100).await.unwrap();
    }
    server.abort();
    meter.heats.lock().unwrap().clone()
}

/// Signs up those whose first minute of an outage is simulated: one in about sixty.
async fn sign_up(store: &Store, load: Load, now: Timestamp) -> Vec<Subscription> {
    let mut known = Vec::new();
    // An odd step: every other practice has two subscriptions.
    for number in (0..load.practices).step_by(61) {
        for partner in 0..subscriptions(number) {
            let subscription = subscription(number, partner, now);
            store.save_subscription(&subscription, None).await.unwrap();
            known.push(subscription);
        }
    }
    known
}

/// Records what endpoints do in a second.
///
/// Each that succeeds is recorded once an hour. In an outage, the first minute of each has a first
/// failure, the opening of the circuit and three failed probes, which are taken and recorded.
async fn endpoints(store: &Store, load: Load, known: &mut [Subscription], now: Timestamp) {
    if !load.outage {
        for subscription in known.iter_mut().step_by(60) {
            store.touch_success(subscription, now).await.unwrap();
        }
        return;
    }
    for subscription in known {
        for _ in 0..8 {
            let error = LastError { at: now, status_code: Some(503), message: None };
            store.note_failure(subscription, Failed::Open(None), error).await.unwrap();
        }
    }
}

fn subscription(number: usize, partner: usize, now: Timestamp) -> Subscription {
    let id = i64::try_from(number * 2 + partner).unwrap();
    Subscription {
        id: SubscriptionId(id),
        generation: id,
        partner_id: PartnerId(format!("prt_{partner}")),
        practicepass: practice(number),
        hook_url: HookUrl::parse("https://partner.example.com/hook", Reach::Internet).unwrap(),
        scopes: vec![EventScope::Claims],
        status: SubscriptionStatus::Active,
        disabled_reason: None,
        disabled_at: None,
        paused_at: None,
        secret: SigningSecret::from_random(&[7; 32]),
        old_secrets: Vec::new(),
        start_after_log_id: LogId(0),
        in_flight: Vec::new(),
        start_epoch: 0,
        started_at: now,
        failing_since: None,
        breaker: Breaker::default(),
        last: LastOutcomes::default(),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// Multiplies all heat so far by the sample.
fn sampled(meter: &Meter, sample: usize) {
    let times = f64::from(u32::try_from(sample).unwrap());
    for heat in meter.heats.lock().unwrap().values_mut() {
        heat.writes *= times;
        heat.reads *= times;
    }
}

fn store_at(endpoint: &str, shards: i64) -> Store {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig};
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    let table = |id: &str| Some(id.to_owned());
    let names = TableNames {
        control: table("ControlTable"),
        deliveries: table("DeliveriesTable"),
        delivery_shards: Some(shards),
        ..TableNames::default()
    };
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config), names)
}

/// Delivers events of all practices to the practices' subscriptions.
async fn deliver(store: &Store, load: Load, now: Timestamp) {
    let wanted = load.deliveries_a_second / load.sample;
    let mut messages = Vec::new();
    let mut state: u64 = 7;
    for log_id in 1.. {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = usize::try_from(state >> 33).unwrap() % load.practices;
        for partner in 0..subscriptions(number) {
            let id = i64::try_from(number * 2 + partner).unwrap();
            let event = WebhookEvent {
                practicepass: practice(number),
                log_id: LogId(log_id),
                epoch: 0,
                event: EventScope::Claims,
                action: Action::Created,
                record_id: log_id,
                occurred_at: now,
            };
            let partner = PartnerId(format!("prt_{partner}"));
            messages.push(EventMessage::new(event, SubscriptionId(id), id, partner, 1));
        }
        if messages.len() >= wanted {
            break;
        }
    }
    let batches =
        messages.chunks(BATCH).map(|batch| join_all(batch.iter().map(|one| deliver_one(store, one, now))));
    stream::iter(batches).buffer_unordered(4).collect::<Vec<_>>().await;
}

async fn deliver_one(store: &Store, message: &EventMessage, now: Timestamp) {
    let id = store.next_delivery_id().await.unwrap();
    let claimed = store.claim_first(Delivery::of_event(message, id, now), now).await.unwrap();
    let Claimed::Yes(mut delivery) = claimed else { panic!("no other process can claim it") };
    let attempt = Attempt {
        at: now,
        status_code: Some(200),
        duration_ms: Some(40),
        error_message: None,
        answer: String::new(),
    };
    delivery.record(attempt, DeliveryStatus::Delivered, None);
    store.record_outcome(*delivery, CountChange { total: 1, failed: 0 }, 7, now).await.unwrap();
}

/// Leases and releases the practices polled in this second: each is polled four times a minute.
async fn poll(store: &Store, load: Load, now: Timestamp) {
    let until = now + SignedDuration::from_secs(30);
    let turns = (0..load.practices).step_by(60).map(|number| async move {
        let mut lease = store.take_lease(&practice(number), "run", now, until).await.unwrap().unwrap();
        store.save_progress(&mut lease, LogProgress::after(LogId(1)), until).await.unwrap();
        store.save_progress(&mut lease, LogProgress::after(LogId(2)), until).await.unwrap();
        store.release(&lease).await.unwrap();
    });
    stream::iter(turns).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Returns the hottest partition of each table and index.
pub(crate) fn hottest(heats: &Heats) -> Vec<(String, String, Heat)> {
    let mut found: BTreeMap<String, (String, Heat)> = BTreeMap::new();
    let share = |heat: Heat| (heat.writes / WRITES).max(heat.reads / READS);
    for ((table, partition), heat) in heats {
        let before = found.entry(table.clone()).or_insert_with(|| (partition.clone(), *heat));
        if share(before.1) < share(*heat) {
            *before = (partition.clone(), *heat);
        }
    }
    found.into_iter().map(|(table, (partition, heat))| (table, partition, heat)).collect()
}

/// Returns the partitions that exceed DynamoDB's limits.
pub(crate) fn too_hot(heats: &Heats) -> Vec<String> {
    let over = |(_, heat): &(_, &Heat)| heat.writes > WRITES || heat.reads > READS;
    heats
        .iter()
        .filter(over)
        .map(|((table, partition), heat)| format!("{table} {partition}: {heat:?}"))
        .collect()
}

/// An installation of ten thousand practices, for `DeliveryShards`.
#[allow(dead_code, reason = "the tests use it")]
pub(crate) fn large(shards: i64, sample: usize) -> Load {
    Load { practices: 10_000, deliveries_a_second: 7_500, shards, schedules: 20, sample, outage: false }
}
