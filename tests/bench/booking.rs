//! Contended bookings: bookings per second, the longest waits, and that none is double, compared
//! with the previous lock, which covered all bookings of a practice on a day.
//!
//! `tests/postgres cargo bench --workspace --bench booking -- 100000` makes that many attempts on
//! each engine and with each lock, eight concurrently, for one practice, four at a time on each of
//! its days' quarter hours. It ends by itself. With `-- 1000000 alone` the previous lock is
//! omitted.

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
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{
    Span,
    civil::{Date, date, time},
};
use office::database::{self, Engine};
use shared::{
    domain::{
        ids::{PatientId, ProviderId, RoomId},
        schedule::{Minutes, VisitTime, VisitTypeRules},
    },
    sql::{Conn, Error},
    tenant::{
        TenantDb,
        calendar::{self, AvailabilityQuery, CalendarLookup},
        visits,
    },
};

const AT_ONCE: i64 = 8;
const PROVIDERS: i64 = 4;
const PATIENTS: i64 = 400;
/// Attempts for one day; then they continue with the next.
const A_DAY: i64 = 320;

#[derive(Clone, Copy, Debug)]
enum Lock {
    /// The previous one: all bookings of the day.
    Day,
    /// Provider, patient, room.
    ThoseAtStake,
}

async fn fill(db: &TenantDb) {
    let mut sql = String::from(
        "update tenant_identity set horizon_days = 3650;
         insert into visit_types (visit_type, buffer_before, buffer_after) values ('Room', 5, 10), ('Plain', \
         0, 0);
         insert into resources (resource_id, name) values (1, 'R'), (2, 'R'), (3, 'R');
         insert into visit_type_resources (visit_type, resource_id) values ('Room', 1), ('Room', 2), \
         ('Room', 3);",
    );
    for id in 1..=PROVIDERS {
        let _ = write!(
            sql,
            "insert into providers (provider_id, name) values ({id}, 'P');
             insert into visit_type_providers (visit_type, provider_id) values ('Room', {id}), ('Plain', \
             {id});"
        );
        for weekday in 1..=7 {
            let _ = write!(
                sql,
                "insert into working_hours (provider_id, weekday, start_time, end_time)
                 values ({id}, {weekday}, '00:00:00', '00:00:00');"
            );
        }
    }
    for id in 1..=PATIENTS {
        let _ = write!(
            sql,
            "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
             values ({id}, 'A', 'B', 'A B', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z');"
        );
    }
    database::execute(db, &sql).await;
}

/// Returns a pseudorandom number, the same in every run.
fn spread(number: i64, of: i64, salt: i64) -> i64 {
    let mixed = (number + 1).wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(salt * 0x1405_7B7E_F767_814F);
    ((mixed ^ (mixed >> 29)) >> 17).rem_euclid(of)
}

/// Makes one attempt like `POST visits/book`; returns whether it booked.
async fn attempt(db: &TenantDb, lock: Lock, number: i64) -> bool {
    let day = date(2026, 3, 10).saturating_add(Span::new().days(number / A_DAY));
    let quarter = i8::try_from(spread(number, 96, 1)).unwrap();
    let at = time(quarter / 4, quarter % 4 * 15, 0, 0);
    let provider = ProviderId(1 + spread(number, PROVIDERS, 2));
    let patient = PatientId(1 + spread(number, PATIENTS, 3));
    let kind = if number % 2 == 0 { "Room" } else { "Plain" };
    let zone = db.time_zone().clone();
    let duration = Minutes::new(20 + spread(number, 3, 4) * 10).unwrap();
    let place = VisitTime::at(&zone, day, at, duration);
    let booked = shared::in_transaction!(db, Error, |conn| {
        let (days, wide) = (place.dates(&zone, 0), place.dates(&zone, VisitTypeRules::MAX_BUFFER));
        match lock {
            Lock::Day => lock_days(conn, &wide).await?,
            Lock::ThoseAtStake => {
                visits::lock_provider_and_patient(conn, (provider, &wide), (patient, &days)).await?;
            }
        }
        let mut rooms = visits::RoomSearch::default();
        loop {
            let query = AvailabilityQuery {
                provider,
                visit_type: Some(kind),
                dates: (day, day),
                now: office::NOW.parse().unwrap(),
                except: None,
            };
            let CalendarLookup::Calendar(calendar) = calendar::read(conn, &zone, &query).await? else {
                panic!("no calendar")
            };
            let Ok(room) = calendar.decide(&place, rooms.held()) else { return Ok(false) };
            if !visits::of_patient(conn, patient, place.visit, None).await?.is_empty() {
                return Ok(false);
            }
            if let (Some(room), Lock::ThoseAtStake) = (room, lock)
                && !rooms.lock(conn, room, &days, place.visit, None).await?
            {
                continue;
            }
            let appointment = appointment(provider, room, at, duration, place);
            let visit = visits::NewVisit {
                patient,
                visit_type: kind,
                complaint: None,
                notes: None,
                appointment,
                at: office::NOW.parse().unwrap(),
            };
            visits::insert(conn, &visit).await?;
            return Ok(true);
        }
    });
    match booked {
        Ok(booked) => booked,
        Err(Error::Refused(_)) => panic!("the locks let one through that the constraints refused"),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn appointment(
    provider: ProviderId,
    room: Option<RoomId>,
    time: jiff::civil::Time,
    duration: Minutes,
    place: VisitTime,
) -> visits::Appointment {
    visits::Appointment {
        provider,
        room,
        time,
        duration,
        provider_time: time,
        provider_duration: duration,
        place,
    }
}

/// The previous lock.
async fn lock_days(conn: &mut Conn, dates: &[Date]) -> Result<(), Error> {
    if let Conn::Postgres(connection) = conn {
        for date in dates {
            let key = i32::from(date.year()) * 366 + i32::from(date.day_of_year());
            sqlx::query("select pg_advisory_xact_lock(1, $1)").bind(key).execute(&mut **connection).await?;
        }
    }
    Ok(())
}

/// Counts visits of one provider (with buffers), patient or room that begin before the previous one
/// has ended.
async fn doubles(db: &TenantDb) -> i64 {
    let larger = "60 * (case when after_it > buffer_before then after_it else buffer_before end)";
    let mut found = 0;
    for (column, gap) in [("provider_id", larger), ("patient_id", "0"), ("room_id", "0")] {
        let query = format!(
            "select count(*) from (
                 select v.*, t.buffer_before, lag(v.ends_at) over w as before_it, lag(t.buffer_after) over w \
                 as after_it
                 from visits v join visit_types t on t.visit_type = v.visit_type
                 window w as (partition by v.{column} order by v.starts_at, v.visit_id)
             ) placed where {column} is not null and starts_at < before_it + {gap}"
        );
        found += database::integer(db, &query).await;
    }
    found
}

async fn measure(engine: Engine, lock: Lock, attempts: i64) {
    let files = tempfile::tempdir().unwrap();
    let db = Arc::new(database::create(engine, files.path(), "DemoOffice", "America/New_York").await.db);
    fill(&db).await;
    let next = Arc::new(AtomicI64::new(0));
    let begun = Instant::now();
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (db, next) = (db.clone(), next.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= attempts {
                        return times;
                    }
                    let started = Instant::now();
                    let booked = attempt(&db, lock, number).await;
                    times.push((started.elapsed(), booked));
                }
            })
        })
        .collect();
    let mut times: Vec<(Duration, bool)> = Vec::new();
    for worker in workers {
        times.extend(worker.await.unwrap());
    }
    let took = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let booked = times.iter().filter(|(_, booked)| *booked).count();
    let count = |number: usize| f64::from(u32::try_from(number).unwrap());
    println!(
        "{engine:?}, {lock:?}: {} attempts, {booked} booked, {:.0} bookings/s, {:.0} attempts/s, p50 {:.1?}, \
            p99 {:.1?}, {} double",
        times.len(),
        count(booked) / took,
        count(times.len()) / took,
        times[times.len() / 2].0,
        times[times.len() * 99 / 100].0,
        doubles(&db).await,
    );
}

#[tokio::main]
async fn main() {
    let attempts = std::env::args().find_map(|it| it.parse().ok()).unwrap_or(20_000);
    let engines = if std::env::var("TEST_POSTGRES_URL").is_ok() {
        vec![Engine::Postgres, Engine::Sqlite]
    } else {
        vec![Engine::Sqlite]
    };
    let alone = std::env::args().any(|it| it == "alone");
    for engine in engines {
        for lock in [Lock::Day, Lock::ThoseAtStake].into_iter().skip(usize::from(alone)) {
            measure(engine, lock, attempts).await;
        }
    }
}
