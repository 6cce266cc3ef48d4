//! The facts in `infra/cost-sheet` are those of the code, by the DynamoDB stand-in's accounting.

use jiff::SignedDuration;
use serde_json::json;
use shared::{
    app::App,
    control::deliveries::Delivery,
    domain::{
        ids::{LogId, PartnerId, SubscriptionId},
        log_progress::LogProgress,
    },
};
use sqlx::{Connection, SqliteConnection};
use webhook_fanout::Lane;

use crate::{
    office::{Answer, Engine, Office, Receiver, Units, external},
    pipeline::{event, poll},
};

/// Returns a number of the sheet, such as `WRITES_A_CALL = 7` or, in its `FACTS`, `"lease": 5`.
fn sheet(name: &str) -> f64 {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/cost-sheet")).unwrap();
    let facts = text.find("FACTS = {").unwrap();
    let quoted = format!("\"{name}\": ");
    let after = match text.find(&format!("\n{name} = ")) {
        Some(at) => at + name.len() + 4,
        None => facts + text[facts..].find(&quoted).unwrap_or_else(|| panic!("no {name}")) + quoted.len(),
    };
    let number = text[after..].split(|it: char| !it.is_ascii_digit() && it != '.').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{name} is not a number"))
}

#[track_caller]
fn agrees(name: &str, measured: f64) {
    println!("{name}: {measured:.2}, in the sheet {}", sheet(name));
    assert!((sheet(name) - measured).abs() < 0.051, "{name} is {measured:.2}, in the sheet {}", sheet(name));
}

async fn office_with(receiver: &Receiver) -> Office {
    let office = Office::open(Engine::Sqlite).await;
    let signup = json!({ "hookUrl": receiver.url, "scopes": ["Claims"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    // The first delivery also leases ids and records the endpoint's first success.
    units(&office, 1, &[200]).await;
    office
}

/// Returns the write units of an event whose attempts are answered so.
async fn units(office: &Office, log_id: i64, answers: &[u16]) -> f64 {
    attempts(office, &office.app, log_id, answers).await.iter().map(|it| it.written).sum()
}

/// Returns the units of each attempt at an event, by this process.
async fn attempts(office: &Office, app: &App, log_id: i64, answers: &[u16]) -> Vec<Units> {
    let row = format!(
        "insert into log (log_id, table_name, action, record_id, logged_at) values \
         ({log_id}, 'claims', 'insert', {log_id}, '2026-03-09T12:00:00Z')"
    );
    office.sql(&row).await;
    poll(office).await;
    let queued = office.queue.receive().await;
    let bodies = queued.iter().map(|message| message.body.clone());
    let own = format!("\"logId\":{log_id},");
    let mut body = bodies.into_iter().find(|body| body.contains(&own)).unwrap();
    let mut units = Vec::new();
    for _ in answers {
        office.store_calls.meter();
        let response = webhook_fanout::deliver(app, Lane::Fast, event(&[&body])).await;
        units.push(office.store_calls.units());
        assert!(response.batch_item_failures.is_empty());
        let key = Delivery::key_of(office.db.practicepass(), SubscriptionId(1), LogId(log_id));
        let delivery = office.app.control.delivery(&key).await.unwrap().unwrap();
        body = serde_json::to_string(&delivery.next_message().unwrap()).unwrap();
    }
    units
}

#[tokio::test]
async fn the_reads_of_an_attempt_are_those_of_the_cost_sheet() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let partner = PartnerId("prt_acme".into());
    let keys = office.app.control.keys_in_practice(office.db.practicepass(), &partner).await.unwrap().len();
    let keys = f64::from(u32::try_from(keys).unwrap());
    assert!(keys > 1.0);
    // A new process has not read the partner's access.
    let process = office.another_app(|_| ());
    let first = attempts(&office, &process, 2, &[200]).await[0].read;
    agrees("reads_an_attempt", first - keys);
    let known = attempts(&office, &process, 3, &[200]).await[0].read;
    println!("read units: {first} with {keys} keys; {known} if the process knows the access");
    assert!((known - 1.0).abs() < 0.01, "only the subscription, not {known}");
    receiver.then(Answer::status(500));
    let retry = attempts(&office, &process, 4, &[500, 200]).await[1].read;
    agrees("reads_a_retry", retry - known);
}

#[tokio::test]
async fn the_units_of_a_delivery_and_of_a_retry_are_those_of_the_cost_sheet() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let healthy = units(&office, 2, &[200]).await;
    agrees("writes_a_delivery", healthy);
    // A failure with a page of an answer, alone among successes.
    receiver.then(Answer::status(500).body("x".repeat(2_048)));
    let retried = units(&office, 3, &[500, 200]).await;
    agrees("writes_a_retry", retried - healthy);
    // Within a series of failures the endpoint's health is already on record.
    receiver.then(Answer::status(500).body("x".repeat(2_048)));
    units(&office, 4, &[500]).await;
    receiver.then(Answer::status(500).body("x".repeat(2_048)));
    let in_a_series = units(&office, 5, &[500]).await;
    println!("a failure in a series: {in_a_series}");
    assert!(in_a_series < retried, "{in_a_series}");
}

#[tokio::test]
async fn ids_and_the_last_success_cost_what_the_cost_sheet_says() {
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    // An event every 144 seconds: 600 a practice and day, each to every subscription.
    let (mut now, mut sum) = (office.app.clock.now(), 0.0);
    for log_id in 2..=26 {
        now += SignedDuration::from_secs(144);
        office.set_time(&now.to_string());
        sum += units(&office, log_id, &[200]).await;
    }
    let alone = sum - 25.0 * sheet("writes_a_delivery");
    println!("units of 25 deliveries in an hour: {sum}, of which ids and the last success {alone}");
    let shared = 25.0 / sheet("IDS_A_BLOCK") + sheet("SUCCESS_WRITES");
    assert!((alone - shared).abs() < 0.051, "{alone}, in the sheet {shared}");
}

/// Returns an item's size by DynamoDB's rules, from the stand-in's JSON.
fn size(item: &serde_json::Value) -> usize {
    let object = item.as_object().unwrap();
    object.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &serde_json::Value) -> usize {
    let (kind, inner) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "S" => inner.as_str().unwrap().len(),
        // About one byte for two digits, and one more.
        "N" => inner.as_str().unwrap().len().div_ceil(2) + 1,
        "M" => 3 + inner.as_object().unwrap().len() + size(inner),
        "L" => 3 + inner.as_array().unwrap().iter().map(|it| 1 + value_size(it)).sum::<usize>(),
        _ => 1,
    }
}

#[tokio::test]
async fn the_storage_of_a_delivery_is_that_of_the_cost_sheet() {
    if external().is_some() {
        return;
    }
    let receiver = Receiver::start().await;
    let office = office_with(&receiver).await;
    let address = format!("sqlite://{}", office.store_file.display());
    let mut file = SqliteConnection::connect(&address).await.unwrap();
    // DynamoDB adds 100 bytes to each item and to each entry of an index.
    let mut stored = Vec::new();
    for table in ["DeliveriesTable", "DeliveriesTable::gsi::byPractice", "DeliveriesTable::gsi::feed"] {
        let select = format!("select item_json from \"{table}\"");
        let items: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_all(&mut file).await.unwrap();
        assert_eq!(items.len(), 1, "{table}");
        stored.push(size(&serde_json::from_str(&items[0]).unwrap()) + 100);
    }
    let counted: i64 =
        sqlx::query_scalar("select item_size from \"DeliveriesTable\"").fetch_one(&mut file).await.unwrap();
    let difference = counted.abs_diff(i64::try_from(stored[0]).unwrap() - 100);
    assert!(difference * 20 < counted.unsigned_abs(), "the stand-in counts {counted}, this {stored:?}");
    #[allow(clippy::cast_precision_loss, reason = "sizes are small")]
    let (item, all) = (stored[0] as f64, stored.iter().sum::<usize>() as f64);
    println!("bytes: {stored:?}");
    agrees("DELIVERY_KB", item / 1024.0);
    agrees("delivery_copies", all / item);
}

#[tokio::test]
async fn the_units_of_leases_calls_and_acts_are_those_of_the_cost_sheet() {
    let office = Office::open(Engine::Sqlite).await;
    let (control, now) = (&office.app.control, office.app.clock.now());
    let until = now + office.app.config.poll_lease;
    office.store_calls.meter();
    let mut lease = control.take_lease(office.db.practicepass(), "run", now, until).await.unwrap().unwrap();
    // A run of a minute renews the lease each time that half of it is over.
    let renewals = 60 / (office.app.config.poll_lease.as_secs() / 2) - 1;
    for position in 0..renewals {
        control.save_progress(&mut lease, LogProgress::after(LogId(position)), until).await.unwrap();
    }
    control.release(&lease).await.unwrap();
    agrees("lease_writes_a_minute", office.store_calls.written());

    let token = office.token("all").await;
    for first in [true, false] {
        // Calls of the same second share a write of the rate window; the sheet assumes none.
        office.set_time(if first { "2026-03-09T12:00:01Z" } else { "2026-03-09T12:00:03Z" });
        office.store_calls.meter();
        office.send(&token, "GET", "/v1/DemoOffice/tags", None).await.expect(200);
        office.app.flush().await;
        let units = office.store_calls.written();
        if !first {
            agrees("WRITES_A_CALL", units);
        }
    }
    for first in [true, false] {
        office.store_calls.take();
        office.store_calls.meter();
        office.admin("GET", "/v1/admin/partners", None).await.expect(200);
        office.app.flush().await;
        let units = office.store_calls.written();
        println!("an act: {:?} {units}", office.store_calls.take());
        if !first {
            agrees("WRITES_AN_ACT", units);
        }
    }
}
