//! What calls cost as a practice grows, beside the statements that they replaced, in one run.
//!
//! `cargo bench --workspace --bench growth -- 1000 100000` measures SQLite with that many patients;
//! behind `tests/postgres`, both engines.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../office"]
mod office {
    pub(crate) mod database;
    pub(crate) mod timeouts;
    mod waiting;

    pub(crate) const NOW: &str = "2026-03-09T12:00:00Z";
}

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use jiff::{Span, civil::date};
use office::database::{self, Engine};
use shared::{
    domain::{ids::ProviderId, schedule::Minutes},
    tenant::{
        TenantDb,
        calendar::{self, AvailabilityQuery, CalendarLookup},
        patients::{self, Filter},
        unindexed_patients,
    },
};

const ROUNDS: usize = 21;

/// Adds patients, and one provider with a visit on every half hour of every day of two years but
/// those of the second Friday.
async fn fill(db: &TenantDb, engine: Engine, patients: i64) {
    let day = match engine {
        Engine::Sqlite => "date('2026-01-01', (n / 14) || ' days')",
        Engine::Postgres => "date '2026-01-01' + n / 14",
    };
    let time = match engine {
        Engine::Sqlite => "printf('%02d:%02d:00', 9 + n % 14 / 2, n % 2 * 30)",
        Engine::Postgres => "time '09:00' + n % 14 * interval '30 minutes'",
    };
    let numbers =
        |to: i64| format!("with recursive n (n) as (select 1 union all select n + 1 from n where n < {to})");
    let at = "'2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z'";
    let mut sql = format!(
        "insert into providers (provider_id, name) values (1, 'One');
         insert into visit_types (visit_type) values ('Visit');
         insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
             {} select n, 'First', 'Last', 'First Last', {at} from n;
         delete from unindexed_patients;
         insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration, \
             created_at, updated_at)
             {} select 1, 1, 'Visit', {day}, {time}, 30, {at} from n where {day} <> '2026-03-20';",
        numbers(patients),
        numbers(730 * 14 - 1),
    );
    for weekday in 1..=7 {
        let _ = write!(
            sql,
            "insert into working_hours (provider_id, weekday, start_time, end_time) values (1, {weekday}, \
             '09:00:00', '16:00:00');"
        );
    }
    database::execute(db, &sql).await;
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

/// The free start that all dates, or windows of them, have.
async fn next_slot(db: &TenantDb, in_windows: bool) {
    let (first, duration) = (date(2026, 3, 9), Minutes::new(30).unwrap());
    let query = AvailabilityQuery {
        provider: ProviderId(1),
        visit_type: None,
        dates: (first, first.saturating_add(Span::new().days(364))),
        now: office::NOW.parse().unwrap(),
        except: None,
    };
    let mut conn = db.connection().await.unwrap();
    let found = if in_windows {
        calendar::read_first_free(&mut conn, db.time_zone(), &query, duration).await
    } else {
        calendar::read(&mut conn, db.time_zone(), &query).await
    };
    let CalendarLookup::Calendar(calendar) = found.unwrap() else { panic!("no calendar") };
    assert_eq!(calendar.next_slot(duration).unwrap().0, date(2026, 3, 20));
}

async fn measure(engine: Engine, count: i64) {
    let files = tempfile::tempdir().unwrap();
    let db = database::create(engine, files.path(), "DemoOffice", "America/New_York").await.db;
    fill(&db, engine, count).await;
    let old_question = "select cast(exists (select 1 from unindexed_patients where patient_id in (select \
                        patient_id from patients)) as integer)";
    let old_question = match engine {
        Engine::Sqlite => old_question.to_owned(),
        Engine::Postgres => format!("select ({old_question})::bigint"),
    };
    let asked_before = median(async || _ = database::integer(&db, &old_question).await).await;
    let asked = median(async || _ = unindexed_patients::index(&db, Duration::ZERO).await.unwrap()).await;
    let filter = Filter::default();
    let listed = median(async || {
        let mut conn = db.connection().await.unwrap();
        let page = patients::page(&mut conn, &filter, 25, 0).await.unwrap();
        assert!(page.length().is_none());
        patients::count(&mut conn, &filter).await.unwrap();
    })
    .await;
    let counted = median(async || _ = database::integer(&db, "select count(*) from patients").await).await;
    let in_a_year = median(async || next_slot(&db, false).await).await;
    let in_windows = median(async || next_slot(&db, true).await).await;
    println!(
        "{engine:?} {count:>9} {asked_before:>10.2?} {asked:>10.2?} {counted:>14.2?} {listed:>14.2?} \
         {in_a_year:>12.2?} {in_windows:>12.2?}"
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut counts: Vec<i64> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![1_000, 10_000, 100_000];
    }
    println!(
        "engine   patients   unindexed?        now    exact count   list + count    slot, year      windows"
    );
    for count in counts {
        measure(Engine::Sqlite, count).await;
        if std::env::var_os("TEST_POSTGRES_URL").is_some() {
            measure(Engine::Postgres, count).await;
        }
    }
}
