//! The cost of availability calls in a practice with 20,000 visits and fully booked providers.

use std::time::{Duration, Instant};

use jiff::{
    Span,
    civil::{Date, date, time},
    tz::TimeZone,
};
use serde_json::Value;
use shared::domain::schedule::{Calendar, Facts, Interval, Minutes, Practice, ProviderVisit, WorkingHours};

use crate::office::{
    Engine, Office,
    statements::{Statement, observe},
};

const PROVIDERS: [i64; 4] = [1, 2, 4, 5];
const NEXT_SLOT: &str = "/v1/DemoOffice/availability/providers/1/next-slot?duration=30";

/// Books every half hour of 365 days for every provider of [`PROVIDERS`]: 20,440 visits.
async fn fill_a_year(office: &Office) {
    office
        .sql(
            "insert into providers (provider_id, name) values (4, 'Four'), (5, 'Five');
             insert into working_hours (provider_id, weekday, start_time, end_time) values
                 (1, 6, '09:00:00', '12:00:00'), (1, 6, '13:00:00', '17:00:00'),
                 (1, 7, '09:00:00', '12:00:00'), (1, 7, '13:00:00', '17:00:00');
             insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
                 select 9000 + provider_id, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z' \
                 from providers;",
        )
        .await;
    let zone = shared::domain::zones::get("America/New_York").unwrap();
    let first = date(2026, 3, 9);
    for provider in PROVIDERS {
        let rows: Vec<String> = first
            .series(Span::new().days(1))
            .take(365)
            .flat_map(|date| half_hours(&zone, date))
            .map(|(date, time, start)| {
                let end = start + 1800;
                format!(
                    "({provider}, {}, 'FOLLOWUP', '{date}', '{time}', 30, '{time}', 30, {start}, {end}, \
                        {start}, {end},
                      '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
                    9000 + provider
                )
            })
            .collect();
        for rows in rows.chunks(1000) {
            office
                .sql(&format!(
                    "insert into visits (provider_id, patient_id, visit_type, visit_date, visit_time, \
                        visit_duration,
                        provider_time, provider_duration, starts_at, ends_at, provider_starts_at, \
                        provider_ends_at,
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

/// Returns the statements that read, with the number of rows each one returned.
async fn reads(office: &Office, path: &str) -> Vec<Statement> {
    let token = office.token("all").await;
    let (reply, seen) = observe(office.send(&token, "GET", path, None)).await;
    reply.expect(200);
    seen.statements.into_iter().filter(|it| it.text.contains("from")).collect()
}

/// A full year has no free slot. With one free slot at its end, the search finds that one.
async fn search(engine: Engine) -> Office {
    let office = Office::open(engine).await;
    fill_a_year(&office).await;
    assert!(office.integer("select count(*) from visits").await > 20_000);
    let reply = office.get(NEXT_SLOT).await;
    assert_eq!(reply.expect(200)["data"]["TheNextSlot"], Value::Null);
    office.sql("delete from visits where visit_date = '2027-03-08' and visit_time = '16:30:00'").await;
    let reply = office.get(NEXT_SLOT).await;
    assert_eq!(reply.expect(200)["data"]["TheNextSlot"]["Date"], "2027-03-08");
    office
}

/// Frees a start, and returns how many windows a search for it reads, and how many rows of visits.
async fn windows_to(office: &Office, date: &str) -> (usize, u64) {
    office.sql(&format!("delete from visits where visit_date = '{date}' and visit_time = '16:30:00'")).await;
    let path = format!("{NEXT_SLOT}&visitType=Consult");
    assert_eq!(office.get(&path).await.expect(200)["data"]["TheNextSlot"]["Date"], *date);
    let reads = reads(office, &path).await;
    for table in ["join providers", "from visit_types ", "from working_hours"] {
        let count = reads.iter().filter(|it| it.text.contains(table)).count();
        assert_eq!(count, 1, "{table}: {reads:#?}");
    }
    let visits: Vec<&Statement> = reads.iter().filter(|it| it.text.contains("from visits")).collect();
    let exceptions = reads.iter().filter(|it| it.text.contains("from schedule_exceptions")).count();
    assert_eq!((exceptions, reads.len()), (visits.len(), 3 + 2 * visits.len()), "{reads:#?}");
    (visits.len(), visits.iter().map(|it| it.rows).sum())
}

/// A search reads the visits of two weeks, then those until the 60th day, then the rest. Each
/// window includes two days more on both sides.
async fn a_search_reads_no_more_windows_than_it_needs(engine: Engine) {
    let office = search(engine).await;
    let (windows, rows) = windows_to(&office, "2027-03-08").await;
    assert_eq!(windows, 3);
    let (year, margins) = (365 * 14, 14 * (2 + 4 + 4));
    assert!((year - 14..=year + margins).contains(&rows), "{rows} rows");
    let (windows, rows) = windows_to(&office, "2026-03-23").await;
    assert_eq!(windows, 2);
    assert!(rows <= 14 * (60 + 2 + 4 + 2), "{rows} rows");
    let (windows, rows) = windows_to(&office, "2026-03-22").await;
    assert_eq!(windows, 1);
    assert!(rows <= 14 * (14 + 4), "{rows} rows");
    // A shorter search reads no more dates than it is for.
    let day = reads(&office, &format!("{NEXT_SLOT}&maxDays=1")).await;
    let visits: Vec<&Statement> = day.iter().filter(|it| it.text.contains("from visits")).collect();
    assert_eq!(visits.len(), 1);
    assert!(visits[0].rows <= 14 * 5, "{} rows", visits[0].rows);
    // Neither does one in a practice that takes bookings for ten days.
    office.sql("update tenant_identity set horizon_days = 10").await;
    let soon = reads(&office, &format!("{NEXT_SLOT}&maxDays=365")).await;
    let visits: Vec<&Statement> = soon.iter().filter(|it| it.text.contains("from visits")).collect();
    assert_eq!(visits.len(), 1);
    assert!(visits[0].rows <= 14 * (12 + 4), "{} rows", visits[0].rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_reads_no_more_windows_than_it_needs_on_sqlite() {
    a_search_reads_no_more_windows_than_it_needs(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_reads_no_more_windows_than_it_needs_on_postgres() {
    a_search_reads_no_more_windows_than_it_needs(Engine::Postgres).await;
}

/// Returns the shortest of several times to search a calendar that is full for this many days.
fn time_of(days: i64) -> Duration {
    let zone = shared::domain::zones::get("America/New_York").unwrap();
    let first = date(2026, 3, 9);
    let dates = (first, first.saturating_add(Span::new().days(days - 1)));
    let hours = (1..8).flat_map(|weekday| {
        [(9, 12), (13, 17)].map(|(start, end)| WorkingHours {
            weekday,
            start: time(start, 0, 0, 0),
            end: time(end, 0, 0, 0),
            valid_from: None,
            valid_to: None,
        })
    });
    let days = usize::try_from(days).unwrap();
    let busy = first.series(Span::new().days(1)).take(days).flat_map(|date| half_hours(&zone, date));
    let facts = Facts {
        hours: hours.collect(),
        busy: busy
            .map(|(_, _, from)| ProviderVisit {
                time: Interval { from, to: from + 1800 },
                buffer_before: 0,
                buffer_after: 0,
            })
            .collect(),
        ..Facts::default()
    };
    let search = || {
        let practice = Practice { time_zone: zone.clone(), grid_minutes: 15, horizon_days: 365 };
        let now = crate::office::NOW.parse().unwrap();
        let facts = facts.clone();
        let started = Instant::now();
        assert_eq!(Calendar::new(practice, now, dates, facts).next_slot(Minutes::new(30).unwrap()), None);
        started.elapsed()
    };
    (0..15).map(|_| search()).min().unwrap()
}

/// Twelve times the days mean twelve times the work; comparing every pair would mean 144 times.
#[test]
fn the_search_time_is_linear_in_the_number_of_days() {
    let (month, year) = (time_of(30), time_of(360));
    assert!(year < month * 48, "30 days {month:?}, 360 days {year:?}");
}
