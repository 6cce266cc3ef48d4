//! A thousand events while functions are killed, messages are duplicated and one in ten requests to
//! the endpoint fails.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::{
    control::Control,
    running::{Stack, kill},
    wait::{until, until_none_left, until_true},
};

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Returns the number of events: `CHAOS_EVENTS`, or enough for a test run.
fn events() -> usize {
    number("CHAOS_EVENTS").unwrap_or(1_000)
}

/// Returns the number of kills: `CHAOS_KILLS`, or one per hundred events.
fn kills() -> usize {
    number("CHAOS_KILLS").unwrap_or(events() / 100)
}

/// Duplicates every tenth message, because a standard queue may deliver a message twice.
const DUPLICATES: &str = "
    create trigger duplicates after insert on messages when abs(random()) % 10 = 0
    begin
        insert into messages (queue, message_id, body, body_md5, attributes, attributes_md5, group_id, \
        sent_at, visible_at)
        values (new.queue, lower(hex(randomblob(18))), new.body, new.body_md5, new.attributes, \
        new.attributes_md5, new.group_id,
            new.sent_at, new.visible_at);
    end";

/// Pseudo-random numbers that are the same in every run.
struct Dice(AtomicU64);

impl Dice {
    fn below(&self, limit: u64) -> u64 {
        let mut value = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (value ^ (value >> 31)) % limit
    }
}

/// An endpoint that returns 500 to one in ten requests.
struct Moody {
    dice: Dice,
    /// Numbers of 200 and 500 responses by event id.
    answered: Mutex<HashMap<String, (usize, usize)>>,
    /// Event ids by log id.
    ids: Mutex<HashMap<i64, HashSet<String>>>,
}

impl Moody {
    async fn open() -> (String, Arc<Self>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let dice = Dice(AtomicU64::new(7));
        let moody = Arc::new(Self { dice, answered: Mutex::default(), ids: Mutex::default() });
        let routes = Router::new().route("/", post(answer)).with_state(moody.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url, moody)
    }
}

async fn answer(State(moody): State<Arc<Moody>>, headers: HeaderMap, body: String) -> StatusCode {
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = headers["x-officepro-event-id"].to_str().unwrap().to_owned();
    assert_eq!(headers["webhook-id"], id.as_str());
    moody.ids.lock().unwrap().entry(body["logId"].as_i64().unwrap()).or_default().insert(id.clone());
    let fails = moody.dice.below(10) == 0;
    let mut answered = moody.answered.lock().unwrap();
    let (good, bad) = answered.entry(id).or_default();
    *(if fails { bad } else { good }) += 1;
    if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}

/// Kills functions of the pipeline at random moments, spread over the whole run.
async fn kill_at_random(stack: &Stack, moody: &Moody) {
    let (dice, step) = (Dice(AtomicU64::new(11)), events() / (kills() + 2));
    for number in 0..kills() {
        let at = number * step + usize::try_from(dice.below(step as u64)).unwrap();
        let arrived = || moody.ids.lock().unwrap().len();
        until_true("the next events", async || arrived() >= at).await;
        // Hit any stage of a function's work.
        tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
        let pid = until("a process to kill", async || {
            let functions = ["log-poller", "webhook-fanout"].into_iter();
            let running: Vec<u32> = functions.flat_map(|it| stack.processes_of(it)).collect();
            let chosen = usize::try_from(dice.below(running.len().max(1) as u64)).unwrap();
            running.get(chosen).copied().ok_or_else(String::new)
        })
        .await;
        kill(pid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_leave_every_event_in_a_correct_final_state() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(
        folder.path(),
        &[
            ["--every", "1"],
            ["--set", "POLL_LEASE_SECONDS=3"],
            ["--set", "POLL_INTERVAL_MS=200"],
            ["--set", "WEBHOOK_RETRY_SECONDS=1,1,2,2,2,2,2"],
        ]
        .concat(),
    )
    .await;
    let token = stack.token().await;
    let (url, moody) = Moody::open().await;
    let signup = json!({ "hookUrl": url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;
    let queue = format!("sqlite://{}", folder.path().join("data/sqs.sqlite").display());
    let mut queue = SqliteConnection::connect(&queue).await.unwrap();
    sqlx::raw_sql(DUPLICATES).execute(&mut queue).await.unwrap();
    let control = Control::of(&stack);

    let work = async {
        stack.emit("Claims", u32::try_from(events()).unwrap()).await;
        let missing = async || events() - moody.ids.lock().unwrap().len();
        until_none_left("every event at the endpoint", missing).await;
        until_none_left("events without an outcome", async || {
            let deliveries = control.deliveries().await;
            events() - deliveries.iter().filter(|it| !it.is_open()).count().min(events())
        })
        .await;
        control.deliveries().await
    };
    let ((), deliveries) = tokio::join!(kill_at_random(&stack, &moody), work);

    assert_eq!(deliveries.len(), events(), "one delivery for each event");
    let ids = moody.ids.lock().unwrap().clone();
    assert_eq!(ids.len(), events());
    for (log_id, ids) in &ids {
        assert_eq!(ids.iter().collect::<Vec<_>>(), [&format!("DemoOffice-{log_id}")]);
    }
    let answered = moody.answered.lock().unwrap().clone();
    let of = |id: &str| answered.get(id).copied().unwrap_or_default();
    for delivery in &deliveries {
        let (good, _) = of(&delivery.event_id);
        assert_eq!(delivery.status == "delivered", good > 0, "{delivery:?}");
        assert!(good <= 1 + delivery.interrupted, "taken {good} times without a kill: {delivery:?}");
    }
    let interrupted: usize = deliveries.iter().map(|it| it.interrupted).sum();
    let delivered = deliveries.iter().filter(|it| it.status == "delivered").count();
    let failures: usize = answered.values().map(|(_, bad)| bad).sum();
    let again: usize = answered.values().map(|(good, _)| good.saturating_sub(1)).sum();
    assert!(failures > events() / 20, "the endpoint failed too rarely to prove anything");
    assert!(again <= kills() * 40, "{again} events were taken twice after {} kills", kills());

    let monitor = stack.monitor().await;
    assert_eq!(monitor["summary"]["totalDeliveries"], events());
    assert_eq!(monitor["summary"]["failedDeliveries"], events() - delivered);
    assert_eq!(monitor["queue"]["deadLetters"], 0);
    println!(
        "{} events, {} kills: {delivered} delivered, {failures} answers 500, {interrupted} attempts \
            interrupted, {again} events taken twice",
        events(),
        kills(),
    );
}
