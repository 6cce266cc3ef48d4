//! The cost of a bridge, compared with a practice without an EMR in the same run; and a race
//! between an EMR's staff and the API's callers.
//!
//! `tests/postgres cargo bench --workspace --bench bridge -- costs 100000` measures with 100,000
//! visits. `-- race 100000` runs 100,000 writes of the EMR and as many attempts of callers. It ends
//! after at most ten minutes (`-- race 100000 60`: after a minute) and prints the numbers reached.
//! `tests/postgres tests/mariadb cargo bench --workspace --bench bridge -- mariadb costs 20000` and
//! `-- mariadb race 10000 300` do the same for an EMR on `MariaDB`.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../office"]
mod office {
    pub(crate) mod database;
    pub(crate) mod timeouts;
    mod waiting;

    pub(crate) const NOW: &str = "2026-03-09T12:00:00Z";
}
#[path = "bridge/costs.rs"]
mod costs;
#[path = "bridge/mariadb.rs"]
mod mariadb;
#[path = "bridge/race.rs"]
mod race;

use std::{fmt::Write as _, time::Instant};

use jiff::civil::{Date, Time};
use office::database::{self, Engine};
use shared::{
    domain::{
        ids::{PatientId, ProviderId, VisitId},
        schedule::{Minutes, VisitTime, VisitTypeRules},
    },
    sql::Error,
    tenant::{
        Bridge, TenantDb, bridge,
        calendar::{self, AvailabilityQuery, CalendarLookup},
        visits,
    },
};
use sqlx::{Connection, PgConnection};

const EMR: &str = concat!("set search_path = public;", include_str!("../bridges/openemr.sql"));

/// The size of a practice. Its `visits` are consecutive, from 08:00 to 18:00 on days around
/// [`office::NOW`]; later times are free.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) providers: i64,
    pub(crate) patients: i64,
    pub(crate) visits: i64,
}

/// Statements that insert the EMR's rows.
pub(crate) fn in_the_emr(size: Size) -> String {
    let Size { providers, patients, visits } = size;
    format!(
        "{EMR}; delete from users; delete from patient_data;
         insert into users (id, fname, lname, authorized) select n, 'P', n::text, 1 from generate_series(1, \
         {providers}) n;
         insert into patient_data (pid, fname, lname, phone_home, email)
         select n, 'Ada', 'Muster' || n, '555-' || n, 'p' || n || '@example.com' from generate_series(1, \
         {patients}) n;
         insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", pc_duration, \
         \"pc_startTime\")
         select 6, 1 + n % {providers}, 1 + n * 7919 % {patients}, date '2025-10-25' + (n / {providers} / \
         20)::integer, 1800,
             time '08:00' + n / {providers} % 20 * interval '30 min'
         from generate_series(0, {visits} - 1) n;
         analyze users; analyze patient_data; analyze openemr_postcalendar_events;
         set search_path = partner_api;"
    )
}

/// Statements that insert the same rows in a practice without an EMR.
fn of_ours(size: Size) -> String {
    let Size { providers, patients, visits } = size;
    format!(
        "insert into visit_types (visit_type) values ('FOLLOWUP');
         insert into providers (provider_id, name) select n, 'P' from generate_series(1, {providers}) n;
         insert into patients (patient_id, first_name, last_name, full_name, phone, email, created_at, \
         updated_at)
         select n, 'Ada', 'Muster' || n, 'Ada Muster' || n, '555-' || n, 'p' || n || '@example.com', now(), \
         now()
         from generate_series(1, {patients}) n;
         insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
         select 1 + n * 7919 % {patients}, 1 + n % {providers}, 'FOLLOWUP', date '2025-10-25' + (n / \
         {providers} / 20)::integer,
             time '08:00' + n / {providers} % 20 * interval '30 min', 30
         from generate_series(0, {visits} - 1) n;"
    )
}

/// Working hours and rules, which only our tables have.
pub(crate) const RULES: &str = "update tenant_identity set horizon_days = 3650;
    insert into visit_type_providers (visit_type, provider_id) select 'FOLLOWUP', provider_id from providers;
    insert into working_hours (provider_id, weekday, start_time, end_time)
    select provider_id, weekday, '00:00:00', '00:00:00' from providers, generate_series(1, 7) weekday;
    analyze";

pub(crate) struct Practice {
    pub(crate) db: TenantDb,
    pub(crate) dsn: String,
}

impl Practice {
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.dsn).await.unwrap()
    }

    pub(crate) async fn native(size: Size) -> Self {
        let created = database::create(Engine::Postgres, "".as_ref(), "DemoOffice", "America/New_York").await;
        let begun = Instant::now();
        database::execute(&created.db, &of_ours(size)).await;
        println!("the same rows written without an EMR: {:.1?}", begun.elapsed());
        database::execute(&created.db, RULES).await;
        Self { db: created.db, dsn: created.dsn }
    }

    pub(crate) async fn attached(size: Size) -> Self {
        let created = database::create(Engine::Postgres, "".as_ref(), "DemoOffice", "America/New_York").await;
        let db = created.db;
        database::execute(&db, &in_the_emr(size)).await;
        Bridge::named("openemr-postgresql").unwrap().install(&db).await.unwrap();
        let begun = Instant::now();
        let mut longest = std::time::Duration::ZERO;
        let mut before = begun;
        let loaded = bridge::load(&db, true, |_| {
            longest = longest.max(before.elapsed());
            before = Instant::now();
            true
        })
        .await
        .unwrap();
        println!("initial load: {:.1?}, {loaded:?}, longest transaction {longest:.2?}", begun.elapsed());
        let begun = Instant::now();
        let words =
            shared::tenant::unindexed_patients::index(&db, std::time::Duration::from_mins(2)).await.unwrap();
        println!("search words: {words} patients in {:.1?}", begun.elapsed());
        database::execute(&db, RULES).await;
        let begun = Instant::now();
        let found = bridge::check(&db).await.unwrap();
        println!("check: {:.1?}, {found:?}", begun.elapsed());
        assert!(found.is_empty());
        Self { db, dsn: created.dsn }
    }
}

/// The place of a visit to book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BookingRequest {
    pub(crate) day: Date,
    pub(crate) at: Time,
    pub(crate) minutes: i64,
    pub(crate) provider: i64,
    pub(crate) patient: i64,
}

/// Tries to book, as `POST visits/book` does; returns the visit if the time was free.
pub(crate) async fn book(db: &TenantDb, request_body: BookingRequest) -> Option<VisitId> {
    try_book(db, request_body)
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// Like [`book`], but returns other errors of the database.
pub(crate) async fn try_book(db: &TenantDb, request_body: BookingRequest) -> Result<Option<VisitId>, Error> {
    let (provider, patient) = (ProviderId(request_body.provider), PatientId(request_body.patient));
    let zone = db.time_zone().clone();
    let duration = Minutes::new(request_body.minutes).unwrap();
    let place = VisitTime::at(&zone, request_body.day, request_body.at, duration);
    let booked = shared::in_transaction!(db, Error, |conn| {
        let (days, wide) = (place.dates(&zone, 0), place.dates(&zone, VisitTypeRules::MAX_BUFFER));
        visits::lock_provider_and_patient(conn, (provider, &wide), (patient, &days)).await?;
        let query = AvailabilityQuery {
            provider,
            visit_type: Some("FOLLOWUP"),
            dates: (request_body.day, request_body.day),
            now: office::NOW.parse().unwrap(),
            except: None,
        };
        let CalendarLookup::Calendar(calendar) = calendar::read(conn, &zone, &query).await? else {
            panic!("no calendar")
        };
        if calendar.decide(&place, &[]).is_err()
            || !visits::of_patient(conn, patient, place.visit, None).await?.is_empty()
        {
            return Ok(None);
        }
        let appointment = visits::Appointment {
            provider,
            room: None,
            time: request_body.at,
            duration,
            provider_time: request_body.at,
            provider_duration: duration,
            place,
        };
        let at = office::NOW.parse().unwrap();
        let visit = visits::NewVisit {
            patient,
            visit_type: "FOLLOWUP",
            complaint: None,
            notes: None,
            appointment,
            at,
        };
        Ok(Some(visits::insert(conn, &visit).await?))
    });
    match booked {
        // The database's error if the EMR's staff took the time first.
        Err(Error::Refused(_)) => Ok(None),
        booked => booked,
    }
}

/// The statement with which the EMR's program inserts an event.
pub(crate) fn event(request_body: BookingRequest) -> String {
    let mut statement = String::new();
    let _ = write!(
        statement,
        "insert into public.openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
            pc_duration, \"pc_startTime\")
         values (6, '{}', '{}', '{}', {}, '{}') returning pc_eid",
        request_body.provider,
        request_body.patient,
        request_body.day,
        request_body.minutes * 60,
        request_body.at
    );
    statement
}

#[tokio::main]
async fn main() {
    let numbers: Vec<i64> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let number = |at: usize, default: i64| numbers.get(at).copied().unwrap_or(default);
    let is_wanted = |name: &str| std::env::args().any(|it| it == name);
    if is_wanted("mariadb") && is_wanted("race") {
        mariadb::race(number(0, 10_000), number(1, 300)).await;
    } else if is_wanted("mariadb") {
        mariadb::costs(number(0, 20_000)).await;
    } else if is_wanted("race") {
        race::run(number(0, 20_000), number(1, 600)).await;
    } else {
        costs::run(number(0, 20_000)).await;
    }
}
