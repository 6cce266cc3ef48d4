//! The cost of a search in a practice with 100,000 patients, compared in one run with a search that
//! reads the whole table.
//!
//! `cargo bench -p tests --bench search` measures SQLite;
//! `tests/postgres cargo bench -p tests --bench search` both engines.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../office"]
mod office {
    pub(crate) mod database;
    pub(crate) mod plan;
    pub(crate) mod timeouts;
    mod waiting;

    pub(crate) const NOW: &str = "2026-03-09T12:00:00Z";
}

use std::time::{Duration, Instant};

use office::{
    database::{self, Engine},
    plan::plan,
};
use shared::{
    domain::search::terms_of,
    sql::Error,
    tenant::{
        TenantDb,
        patients::{self, Filter, PatientDetails},
    },
};

const PATIENTS: usize = 100_000;
const ROUNDS: usize = 51;
const FIRST: [&str; 8] = ["Ada", "Benjamín", "Chloé", "Dmitri", "Esra", "Fatima", "George", "Hanna"];
const LAST: [&str; 10] =
    ["Muñoz", "O'Hara", "Okafor", "Weber", "Nguyễn", "Smith", "Jones", "Ivanova", "Kowalski", "Haddad"];

/// Returns the patient with a number; names repeat, other values do not.
fn patient(number: usize) -> PatientDetails {
    let (first, last) = (FIRST[number % 8], LAST[number / 8 % 10]);
    let syllable = ["ri", "mo", "lan", "te", "sor"][number / 80 % 5];
    PatientDetails {
        first_name: first.to_owned(),
        last_name: format!("{last}{syllable}{}", number / 400),
        full_name: format!("{first} {last}{syllable}{}", number / 400),
        phone: Some(format!("({}) 555-{:04}", 200 + number / 10_000, number % 10_000)),
        email: Some(format!("patient{number}@example.com")),
        ..PatientDetails::default()
    }
}

async fn fill(db: &TenantDb) {
    let now = office::NOW.parse().unwrap();
    for first in (0..PATIENTS).step_by(1000) {
        shared::in_transaction!(db, Error, |conn| {
            for number in first..first + 1000 {
                patients::insert(conn, &patient(number), now).await?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    }
    database::execute(db, "analyze").await;
}

async fn median(mut work: impl AsyncFnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work().await;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[ROUNDS / 2]
}

async fn measure(engine: Engine) {
    let files = tempfile::tempdir().unwrap();
    let db = database::create(engine, files.path(), "DemoOffice", "America/New_York").await.db;
    let started = Instant::now();
    fill(&db).await;
    println!("\n{engine:?}: {PATIENTS} patients written with their words in {:.1?}", started.elapsed());

    let naive =
        "select count(*) from patients where lower(full_name) like '%okafor%' or lower(email) like '%okafor%'
                 or replace(replace(replace(phone, '-', ''), '(', ''), ')', '') like '%okafor%'";
    let baseline = median(async || {
        database::integer(&db, naive).await;
    })
    .await;
    println!("{:<28} {:>8} {:>12} {:>8}", "search", "hits", "median", "ratio");
    println!("{:<28} {:>8} {:>12} {:>8}", "baseline: reads the table", "", format!("{baseline:.2?}"), "1");

    let mut conn = db.connection().await.unwrap();
    for search in [
        "patient77123@example.com",
        "(207) 555-7123",
        "2075557123",
        "555 7123",
        "okaforri12",
        "chloe weberlan1",
        "munoz",
        "a",
    ] {
        let filter = Filter { prospect: None, terms: Some(terms_of(search)) };
        let hits = patients::count(&mut conn, &filter).await.unwrap();
        assert!(hits > 0, "{search}");
        let taken = median(async || {
            patients::count(&mut conn, &filter).await.unwrap();
            patients::page(&mut conn, &filter, 25, 0).await.unwrap();
        })
        .await;
        let ratio = taken.as_secs_f64() / baseline.as_secs_f64();
        println!("{search:<28} {hits:>8} {:>12} {ratio:>8.4}", format!("{taken:.2?}"));
    }

    println!("the plan of a page of \"chloe weberlan1\":");
    let filter = Filter { prospect: None, terms: Some(terms_of("chloe weberlan1")) };
    let statements = filter.statements(&conn);
    drop(conn);
    for step in plan(&db, &statements.page, &statements.values).await {
        println!("    {step}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    measure(Engine::Sqlite).await;
    if std::env::var_os("TEST_POSTGRES_URL").is_some() {
        measure(Engine::Postgres).await;
    }
}
