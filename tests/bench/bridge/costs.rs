//! Slots, search, booking and the EMR's own insert, with and without a bridge.

use std::time::{Duration, Instant};

use jiff::{
    Span,
    civil::{date, time},
};
use shared::{
    domain::{ids::ProviderId, schedule::Minutes, search::terms_of},
    tenant::{
        calendar::{self, AvailabilityQuery, CalendarLookup},
        patients::{self, Filter},
    },
};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{BookingRequest, EMR, Practice, Size, book, database, event, in_the_emr, office};

const ROUNDS: usize = 400;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Times both alternately, so that other load of the machine affects both alike.
pub(crate) async fn compare(name: &str, mut one: impl AsyncFnMut(i64), mut other: impl AsyncFnMut(i64)) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..i64::try_from(ROUNDS).unwrap() {
        let begun = Instant::now();
        one(round).await;
        ones.push(begun.elapsed());
        let begun = Instant::now();
        other(round).await;
        others.push(begun.elapsed());
    }
    let (one, other) = (median(ones), median(others));
    println!(
        "{name:<28} {:>12} {:>12} {:>8.2}",
        format!("{one:.2?}"),
        format!("{other:.2?}"),
        other.as_secs_f64() / one.as_secs_f64()
    );
}

pub(crate) async fn slots(practice: &Practice, round: i64) {
    let from = date(2026, 3, 10).saturating_add(Span::new().days(round % 200));
    let query = AvailabilityQuery {
        provider: ProviderId(1 + round % 10),
        visit_type: Some("FOLLOWUP"),
        dates: (from, from.saturating_add(Span::new().days(6))),
        now: office::NOW.parse().unwrap(),
        except: None,
    };
    let mut conn = practice.db.connection().await.unwrap();
    let zone = practice.db.time_zone().clone();
    let CalendarLookup::Calendar(calendar) = calendar::read(&mut conn, &zone, &query).await.unwrap() else {
        panic!("no calendar")
    };
    assert!(!calendar.slots(from, Minutes::new(30).unwrap()).is_empty());
}

async fn search(practice: &Practice, round: i64) {
    let filter = Filter { prospect: None, terms: Some(terms_of(&format!("muster{}", 1_000 + round * 7))) };
    let mut conn = practice.db.connection().await.unwrap();
    assert!(patients::count(&mut conn, &filter).await.unwrap() > 0);
    patients::page(&mut conn, &filter, 25, 0).await.unwrap();
}

pub(crate) fn request_body(round: i64, hour: i8) -> BookingRequest {
    BookingRequest {
        day: date(2026, 3, 10).saturating_add(Span::new().days(round % 200)),
        at: time(hour, 0, 0, 0),
        minutes: 30,
        provider: 1 + round / 200,
        patient: 1 + round * 31 % 20_000,
    }
}

async fn staff(session: &mut PgConnection, round: i64) {
    session.execute(AssertSqlSafe(event(request_body(round, 21)))).await.unwrap();
}

pub(crate) async fn run(visits: i64) {
    let size = Size { providers: 10, patients: 20_000, visits };
    println!("{visits} visits, {} patients", size.patients);
    let native = Practice::native(size).await;
    shared::tenant::unindexed_patients::index(&native.db, Duration::from_mins(2)).await.unwrap();
    database::execute(&native.db, "analyze").await;
    let attached = Practice::attached(size).await;
    // The EMR alone, in a database of its own.
    let alone = Practice { dsn: database::new_database("alone").await, db: native.db.clone() };
    let mut without = alone.session().await;
    assert!(in_the_emr(size).starts_with(EMR));
    without
        .execute(AssertSqlSafe(in_the_emr(size).replace("set search_path = partner_api;", "")))
        .await
        .unwrap();
    let mut with = attached.session().await;

    println!("{:<28} {:>12} {:>12} {:>8}", "median", "native", "attached", "ratio");
    compare(
        "slots of a week",
        async |round| slots(&native, round).await,
        async |round| slots(&attached, round).await,
    )
    .await;
    compare(
        "search",
        async |round| search(&native, round).await,
        async |round| search(&attached, round).await,
    )
    .await;
    compare(
        "booking",
        async |round| assert!(book(&native.db, request_body(round, 20)).await.is_some()),
        async |round| assert!(book(&attached.db, request_body(round, 20)).await.is_some()),
    )
    .await;
    compare(
        "the EMR's insert",
        async |round| staff(&mut without, round).await,
        async |round| staff(&mut with, round).await,
    )
    .await;
    // In one transaction, like a bulk change in the EMR.
    let bulk = "update public.openemr_postcalendar_events set pc_hometext = 'bulk' where pc_eid between 1000 \
        and 10999";
    for (name, session) in [("without", &mut without), ("with", &mut with)] {
        let begun = Instant::now();
        session.execute(bulk).await.unwrap();
        println!("the EMR's update of 10,000 rows, {name} a bridge: {:.2?}", begun.elapsed());
    }
}
