//! The costs and the race of a practice whose EMR is on `MariaDB`.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use shared::tenant::{Bridge, bridge};

use super::{
    BookingRequest, Practice, RULES, Size, book, costs,
    database::{self, Engine, mariadb},
    race,
};

const WRITERS: i64 = 4;
const CALLERS: i64 = 4;

fn rows(Size { providers, patients, visits }: Size) -> String {
    format!(
        "delete from users; delete from patient_data;
         insert into users (id, fname, lname, authorized) select seq, 'P', seq, 1 from seq_1_to_{providers};
         insert into patient_data (pid, fname, lname, phone_home, email)
         select seq, 'Ada', concat('Muster', seq), concat('555-', seq), concat('p', seq, '@example.com') \
         from seq_1_to_{patients};
         insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_duration, \
         pc_startTime)
         select 6, 1 + seq % {providers}, 1 + seq * 7919 % {patients}, date '2025-10-25' + interval \
         floor(seq / {providers} / 20) day, 1800,
             sec_to_time(28800 + floor(seq / {providers}) % 20 * 1800)
         from seq_0_to_{}; truncate partner_api_outbox; analyze table openemr_postcalendar_events;",
        visits - 1
    )
}

async fn attached(size: Size) -> (Practice, String) {
    let created = database::create(Engine::Postgres, "".as_ref(), "DemoOffice", "America/New_York").await;
    let emr = database::new_name("emr");
    let address = mariadb::create(&emr);
    mariadb::run(&emr, &rows(size));
    database::execute(&created.db, "create extension mysql_fdw schema public").await;
    let bridge = Bridge::named("openemr-mariadb").unwrap();
    bridge.install_with(&created.db, &format!("{}\n{address}", created.dsn)).await.unwrap();
    let begun = Instant::now();
    let loaded = bridge::load(&created.db, true, |_| true).await.unwrap();
    println!("initial load: {:.1?}, {loaded:?}", begun.elapsed());
    database::execute(&created.db, RULES).await;
    let begun = Instant::now();
    let found = bridge::check(&created.db).await.unwrap();
    println!("check: {:.1?}, {found:?}", begun.elapsed());
    (Practice { db: created.db, dsn: created.dsn }, emr)
}

fn event(request_body: BookingRequest) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_duration, \
            pc_startTime)
         values (6, '{}', '{}', '{}', {}, '{}'); select last_insert_id();",
        request_body.provider,
        request_body.patient,
        request_body.day,
        request_body.minutes * 60,
        request_body.at
    )
    .replace('\n', " ")
}

pub(crate) async fn costs(visits: i64) {
    let size = Size { providers: 10, patients: 20_000, visits };
    println!("{visits} visits, {} patients", size.patients);
    let native = Practice::native(size).await;
    let (attached, emr) = attached(size).await;
    let bare = database::new_name("bare");
    mariadb::create_bare(&bare);
    let request_body = costs::request_body;
    println!("{:<28} {:>12} {:>12} {:>8}", "median", "native", "attached", "ratio");
    costs::compare(
        "slots of a week",
        async |round| costs::slots(&native, round).await,
        async |round| costs::slots(&attached, round).await,
    )
    .await;
    costs::compare(
        "booking",
        async |round| assert!(book(&native.db, request_body(round, 20)).await.is_some()),
        async |round| assert!(book(&attached.db, request_body(round, 20)).await.is_some()),
    )
    .await;
    let (mut without, mut with) = (mariadb::Session::open(&bare), mariadb::Session::open(&emr));
    costs::compare(
        "the EMR's insert",
        async |round| assert!(without.ask(&event(request_body(round, 21))) > 0),
        async |round| assert!(with.ask(&event(request_body(round, 21))) > 0),
    )
    .await;
    let begun = Instant::now();
    let pulled = bridge::pull(&attached.db).await.unwrap();
    println!("a pull of {pulled} changes: {:.2?}", begun.elapsed());
    let mut bulk = mariadb::Session::open(&emr);
    let begun = Instant::now();
    bulk.run(
        "update openemr_postcalendar_events set pc_hometext = 'bulk' where pc_eid between 1000 and 10999;",
    );
    println!("the EMR's update of 10,000 rows: {:.2?}", begun.elapsed());
}

/// Event ids with their times: of staff at the commit, of callers at the request.
type Written = Mutex<Vec<(i64, u128)>>;

pub(crate) async fn race(most: i64, seconds: i64) {
    let (practice, emr) =
        attached(Size { providers: race::PROVIDERS, patients: race::PATIENTS, visits: 1 }).await;
    let practice = Arc::new(practice);
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds.unsigned_abs());
    let (written, asked) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let (staff, callers, failed) =
        (Arc::new(Written::default()), Arc::new(Written::default()), Arc::new(AtomicI64::new(0)));
    let longest = Arc::new(Mutex::new(Duration::ZERO));
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (emr, written, staff, failed, longest) =
            (emr.clone(), written.clone(), staff.clone(), failed.clone(), longest.clone());
        all.spawn_blocking(move || {
            let mut session = mariadb::Session::open(&emr);
            while Instant::now() < end {
                let number = written.fetch_add(1, Ordering::Relaxed);
                if number >= most {
                    break;
                }
                let started = Instant::now();
                let id = session.ask(&event(race::request_body(number, 11)));
                let mut longest = longest.lock().unwrap();
                *longest = started.elapsed().max(*longest);
                if id > 0 {
                    staff.lock().unwrap().push((id, begun.elapsed().as_micros()));
                } else {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let busy = Arc::new(AtomicI64::new(0));
    for _ in 0..CALLERS {
        let (practice, asked, callers, busy) =
            (practice.clone(), asked.clone(), callers.clone(), busy.clone());
        all.spawn(async move {
            while Instant::now() < end {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number >= most {
                    break;
                }
                let at = begun.elapsed().as_micros();
                match super::try_book(&practice.db, race::request_body(number, 51)).await {
                    Ok(Some(id)) => callers.lock().unwrap().push((id.0, at)),
                    Ok(None) => {}
                    // Transactions of the staff locked the day in every attempt.
                    Err(_) => _ = busy.fetch_add(1, Ordering::Relaxed),
                }
            }
        });
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let (puller, over) = (practice.clone(), is_over.clone());
    let puller = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            // A booking may have locked the rows that it needs.
            let _ = bridge::pull(&puller.db).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    puller.await.unwrap();
    println!(
        "{} writes of the EMR ({} failed, the longest took {:.1?}), {} attempts of callers, {} booked, {} \
            rejected as busy, in {:.0?}",
        staff.lock().unwrap().len(),
        failed.load(Ordering::Relaxed),
        longest.lock().unwrap(),
        asked.load(Ordering::Relaxed).min(most),
        callers.lock().unwrap().len(),
        busy.load(Ordering::Relaxed),
        begun.elapsed()
    );
    while bridge::pull(&practice.db).await.unwrap() > 0 {}
    report(&emr, &staff.lock().unwrap(), &callers.lock().unwrap());
    println!("differences afterwards: {:?}", bridge::check(&practice.db).await.unwrap());
}

/// Counts violations in the EMR's events.
fn report(emr: &str, staff: &[(i64, u128)], callers: &[(i64, u128)]) {
    let mut script = String::from("create table written (id bigint primary key, by_staff int, at bigint);");
    for (written, by_staff) in [(staff, 1), (callers, 0)] {
        for (id, at) in written {
            let _ = write!(script, "insert into written values ({id}, {by_staff}, {at});");
        }
    }
    script.push_str(
        "create table spans as select w.*, e.pc_aid, e.pc_pid, e.pc_eventDate as day, \
            timestamp(pc_eventDate, pc_startTime) as a,
            timestamp(pc_eventDate, pc_startTime) + interval pc_duration second as z
         from written w join openemr_postcalendar_events e on e.pc_eid = w.id;
         alter table spans add key (day);",
    );
    mariadb::run(emr, &script);
    let pairs = "from spans o join spans s on s.day = o.day and s.id <> o.id and (s.pc_aid = o.pc_aid or \
        s.pc_pid = o.pc_pid) and s.a < o.z and o.a < s.z
        where o.by_staff = 0";
    let count = |which: &str| mariadb::run(emr, &format!("select count(*) {pairs} and {which}"));
    let (over_committed, over_each_other) =
        (count("s.by_staff = 1 and s.at < o.at"), count("s.by_staff = 0"));
    let lost = mariadb::run(emr, "select (select count(*) from written) - (select count(*) from spans)");
    let surplus = mariadb::run(
        emr,
        "select count(*) from openemr_postcalendar_events e where pc_informant = 'partner-api' and pc_eid \
            not in (select id from written)",
    );
    println!(
        "{over_committed} bookings over events that the EMR had committed before the request, \
            {over_each_other} over each other, {lost} lost, {surplus} left of failed ones"
    );
    assert_eq!([over_committed, over_each_other, lost, surplus], ["0"; 4]);
}
