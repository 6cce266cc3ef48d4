//! What an answer costs on a practice with 20,000 visits and a provider who is booked for a whole year.

use std::{
    sync::{Arc, Mutex, Once},
    time::{Duration, Instant},
};

use jiff::{
    Span,
    civil::{Date, date, time},
    tz::TimeZone,
};
use serde_json::Value;
use shared::domain::schedule::{Calendar, Facts, Interval, Minutes, Practice, WorkingHours};
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::office::{Engine, Office};

const PROVIDERS: [i64; 4] = [1, 2, 4, 5];
const NEXT_SLOT: &str = "/v1/DemoOffice/availability/providers/1/next-slot?duration=30";

/// Every provider of [`PROVIDERS`] works every day and is booked in every half hour of 365 days: 20,440 visits.
async fn fill_a_year(office: &Office) {
    office
        .sql(
            "insert into providers (provider_id, name) values (4, 'Four'), (5, 'Five');
             insert into working_hours (provider_id, weekday, start_time, end_time) values
                 (1, 6, '09:00:00', '12:00:00'), (1, 6, '13:00:00', '17:00:00'),
                 (1, 7, '09:00:00', '12:00:00'), (1, 7, '13:00:00', '17:00:00');
             insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
                 select 9000 + provider_id, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z' from providers;",
        )
        .await;
    let zone = TimeZone::get("America/New_York").unwrap();
    let first = date(2026, 3, 9);
    for provider in PROVIDERS {
        let rows: Vec<String> = first
            .series(Span::new().days(1))
            .take(365)
            .flat_map(|date| half_hours(&zone, date))
            .map(|(date, time, start)| {
                let end = start + 1800;
                format!(
                    "({provider}, {}, 'FOLLOWUP', '{date}', '{time}', 30, '{time}', 30, {start}, {end}, {start}, {end},
                      '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
                    9000 + provider
                )
            })
            .collect();
        for rows in rows.chunks(1000) {
            office
                .sql(&format!(
                    "insert into visits (provider_id, patient_id, visit_type, visit_date, visit_time, visit_duration,
                        provider_time, provider_duration, starts_at, ends_at, provider_starts_at, provider_ends_at,
                        created_at, updated_at) values {}",
                    rows.join(",")
                ))
                .await;
        }
    }
    office.sql("analyze").await;
}

fn half_hours(zone: &TimeZone, date: Date) -> Vec<(Date, String, i64)> {
    (18..34)
        .filter(|half| !(24..26).contains(half))
        .map(|half: i8| {
            let at = date.at(half / 2, half % 2 * 30, 0, 0);
            (date, at.time().to_string(), at.to_zoned(zone.clone()).unwrap().timestamp().as_second())
        })
        .collect()
}

type Statements = Arc<Mutex<Vec<String>>>;

tokio::task_local! {
    /// Where the statements of the task under way are written.
    static STATEMENTS: Statements;
}

/// Notes the SQL statements of tasks that ask for it.
///
/// One subscriber for the whole process: whether an event is wanted is remembered by `tracing` for all threads, so one
/// that is there for a moment only may be passed over.
struct Noting;

impl<S: Subscriber> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
                if field.name() == "db.statement" {
                    let _ = STATEMENTS.try_with(|seen| seen.lock().unwrap().push(format!("{value:?}")));
                }
            });
        }
    }
}

async fn statements(office: &Office, path: &str) -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Noting)).unwrap();
    });
    let seen = Statements::default();
    let token = office.token("all").await;
    STATEMENTS.scope(seen.clone(), office.send(&token, "GET", path, None)).await.expect(200);
    let mut seen = seen.lock().unwrap();
    // A pooled connection may be pinged first; that has no text of its own.
    seen.retain(|statement| statement.contains("from"));
    seen.clone()
}

/// The median time of an answer.
async fn median(office: &Office, path: &str) -> Duration {
    let token = office.token("all").await;
    let mut times = Vec::new();
    for _ in 0..15 {
        let started = Instant::now();
        office.send(&token, "GET", path, None).await.expect(200);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

async fn measure(engine: Engine) -> Office {
    let office = Office::open(engine).await;
    fill_a_year(&office).await;
    assert!(office.integer("select count(*) from visits").await > 20_000);
    let reply = office.get(NEXT_SLOT).await;
    assert_eq!(reply.expect(200)["data"]["TheNextSlot"], Value::Null);
    let slots = "/v1/DemoOffice/availability/providers/1/slots?date=2026-09-15&duration=30";
    let (year, day) = (median(&office, NEXT_SLOT).await, median(&office, slots).await);
    println!("{engine:?}, unoptimised: next-slot over 365 full days {year:?}, slots of one day {day:?}");
    office.sql("delete from visits where visit_date = '2027-03-08' and visit_time = '16:30:00'").await;
    let reply = office.get(NEXT_SLOT).await;
    assert_eq!(reply.expect(200)["data"]["TheNextSlot"]["Date"], "2027-03-08");
    office
}

#[tokio::test]
async fn a_full_year_is_searched_on_sqlite() {
    measure(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_full_year_is_searched_on_postgres_and_each_table_is_read_once() {
    let office = measure(Engine::Postgres).await;
    let year = statements(&office, &format!("{NEXT_SLOT}&visitType=Consult")).await;
    let day = statements(&office, &format!("{NEXT_SLOT}&visitType=Consult&maxDays=1")).await;
    assert_eq!(year, day, "the number of days changes what is read");
    for table in [
        "join providers",
        "from visit_types ",
        "from working_hours",
        "from schedule_exceptions",
        "from visits",
    ] {
        let reads = year.iter().filter(|statement| statement.contains(table)).count();
        assert_eq!(reads, 1, "{table}: {year:#?}");
    }
    assert_eq!(year.len(), 5, "{year:#?}");
}

#[test]
fn the_rules_alone_search_a_full_year_in_milliseconds() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let first = date(2026, 3, 9);
    let dates = (first, first.saturating_add(Span::new().days(364)));
    let hours = (1..8).flat_map(|weekday| {
        [(9, 12), (13, 17)].map(|(start, end)| WorkingHours {
            weekday,
            start: time(start, 0, 0, 0),
            end: time(end, 0, 0, 0),
            valid_from: None,
            valid_to: None,
        })
    });
    let busy = first.series(Span::new().days(1)).take(365).flat_map(|date| half_hours(&zone, date));
    let facts = Facts {
        hours: hours.collect(),
        busy: busy.map(|(_, _, from)| Interval { from, to: from + 1800 }).collect(),
        ..Facts::default()
    };
    let started = Instant::now();
    let practice = Practice { time_zone: zone, grid_minutes: 15, horizon_days: 365 };
    let calendar = Calendar::new(practice, crate::office::NOW.parse().unwrap(), dates, facts);
    assert_eq!(calendar.next_slot(Minutes::new(30).unwrap()), None);
    let taken = started.elapsed();
    println!("the rules alone, unoptimised: 365 full days in {taken:?}");
    assert!(taken < Duration::from_millis(250), "{taken:?}");
}
