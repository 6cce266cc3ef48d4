//! Staff in the EMR and the API's callers compete for the same times.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{
    Span,
    civil::{date, time},
};
use sqlx::{AssertSqlSafe, Row};

use super::{BookingRequest, Practice, Size, book, database, event};

const WRITERS: i64 = 4;
const CALLERS: i64 = 4;
pub(crate) const PROVIDERS: i64 = 4;
pub(crate) const PATIENTS: i64 = 400;
/// Attempts of each side per day; then both continue with the next day.
const A_DAY: i64 = 120;

/// Returns a pseudorandom number, the same in every run.
fn spread(number: i64, of: i64, salt: i64) -> i64 {
    let salt = salt.wrapping_mul(0x1405_7B7E_F767_814F);
    let mixed = (number + 1).wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(salt);
    ((mixed ^ (mixed >> 29)) >> 17).rem_euclid(of)
}

pub(crate) fn request_body(number: i64, salt: i64) -> BookingRequest {
    let quarter = i8::try_from(spread(number, 94, salt)).unwrap();
    BookingRequest {
        day: date(2026, 3, 10).saturating_add(Span::new().days(number / A_DAY)),
        at: time(quarter / 4, quarter % 4 * 15, 0, 0),
        minutes: 20 + spread(number, 3, salt + 1) * 5,
        provider: 1 + spread(number, PROVIDERS, salt + 2),
        patient: 1 + spread(number, PATIENTS, salt + 3),
    }
}

/// A write and its time: of staff at the commit, of callers at the request.
struct Written {
    request_body: BookingRequest,
    at: Instant,
}

fn minute(request_body: BookingRequest) -> i64 {
    i64::from(request_body.at.hour()) * 60 + i64::from(request_body.at.minute())
}

fn overlaps(one: BookingRequest, other: BookingRequest) -> bool {
    (one.provider == other.provider || one.patient == other.patient)
        && minute(one) < minute(other) + other.minutes
        && minute(other) < minute(one) + one.minutes
}

pub(crate) async fn run(most: i64, seconds: i64) {
    let practice = Practice::attached(Size { providers: PROVIDERS, patients: PATIENTS, visits: 1 }).await;
    let practice = Arc::new(practice);
    let end = Instant::now() + Duration::from_secs(seconds.unsigned_abs());
    let begun = Instant::now();
    let written = Arc::new(AtomicI64::new(0));
    let asked = Arc::new(AtomicI64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (practice, written) = (practice.clone(), written.clone());
            tokio::spawn(async move {
                let mut session = practice.session().await;
                let (mut done, mut longest, mut failed) = (Vec::new(), Duration::ZERO, 0_u64);
                while Instant::now() < end {
                    let number = written.fetch_add(1, Ordering::Relaxed);
                    if number >= most {
                        break;
                    }
                    let request_body = request_body(number, 11);
                    let started = Instant::now();
                    let result =
                        sqlx::query(AssertSqlSafe(event(request_body))).fetch_one(&mut session).await;
                    longest = longest.max(started.elapsed());
                    match result {
                        Ok(row) => {
                            assert!(row.get::<i32, _>(0) > 0);
                            done.push(Written { request_body, at: Instant::now() });
                        }
                        Err(_) => failed += 1,
                    }
                }
                (done, longest, failed)
            })
        })
        .collect();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (practice, asked) = (practice.clone(), asked.clone());
            tokio::spawn(async move {
                let (mut done, mut attempts) = (Vec::new(), 0_u64);
                while Instant::now() < end {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    if number >= most {
                        break;
                    }
                    let (request_body, at) = (request_body(number, 51), Instant::now());
                    attempts += 1;
                    if book(&practice.db, request_body).await.is_some() {
                        done.push(Written { request_body, at });
                    }
                }
                (done, attempts)
            })
        })
        .collect();
    let (mut staff, mut longest, mut failed) = (Vec::new(), Duration::ZERO, 0);
    for writer in writers {
        let (done, its_longest, its_failed) = writer.await.unwrap();
        staff.extend(done);
        longest = longest.max(its_longest);
        failed += its_failed;
    }
    let (mut booked, mut attempts) = (Vec::new(), 0);
    for caller in callers {
        let (done, its_attempts) = caller.await.unwrap();
        booked.extend(done);
        attempts += its_attempts;
    }
    println!(
        "{} writes of the EMR ({failed} failed, the longest took {longest:.1?}), {attempts} attempts of \
            callers, {} booked, in {:.0?}",
        staff.len(),
        booked.len(),
        begun.elapsed()
    );
    report(&staff, &booked);
    let unbound = database::integer(&practice.db, "select count(*) from visits where not bound").await;
    let noted = database::integer(&practice.db, "select count(*) from bridge_failures").await;
    println!("{unbound} visits of the staff overlap others; {noted} were not applied at once");
    database::execute(&practice.db, "set partner_api.writing = ''; select bridge_catch_up(1000000)").await;
    println!("differences afterwards: {:?}", shared::tenant::bridge::check(&practice.db).await.unwrap());
}

fn report(staff: &[Written], booked: &[Written]) {
    let mut days: HashMap<_, (Vec<&Written>, Vec<&Written>)> = HashMap::new();
    for it in staff {
        days.entry(it.request_body.day).or_default().0.push(it);
    }
    for it in booked {
        days.entry(it.request_body.day).or_default().1.push(it);
    }
    let (mut over_committed, mut over_each_other) = (0, 0);
    for (staff, booked) in days.values() {
        for (number, one) in booked.iter().enumerate() {
            over_committed += staff
                .iter()
                .filter(|it| it.at < one.at && overlaps(it.request_body, one.request_body))
                .count();
            over_each_other +=
                booked[number + 1..].iter().filter(|it| overlaps(it.request_body, one.request_body)).count();
        }
    }
    println!(
        "{over_committed} bookings over events that the EMR had committed before the request, \
            {over_each_other} over each other"
    );
    assert_eq!((over_committed, over_each_other), (0, 0));
}
