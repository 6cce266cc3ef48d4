//! The EMR's statements do not wait for the bridge, and a booking makes few round trips.

use shared::tenant::{Bridge, bridge};
use sqlx::{AssertSqlSafe, Executor};

use super::{attached, book, clean, event, session};
use crate::office::{ends, eventually, mariadb};

/// A statement of the bridge that takes seconds, because the EMR's own trigger does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn the_emr_adds_events_to_a_day_while_a_booking_of_that_day_is_written() {
    let (office, emr) = attached().await;
    mariadb::run(
        &emr,
        &format!(
            "{} {}
            delimiter //
            create trigger slow before insert on openemr_postcalendar_events for each row begin
                if new.pc_informant = 'partner-api' then do sleep(3); end if;
            end //",
            event(5, "1", "1001", "2026-03-10", "10:00", 30),
            event(5, "2", "1003", "2026-03-13", "10:00", 30)
        ),
    );
    bridge::pull(&office.db).await.unwrap();
    let (office, mut staff) = (std::sync::Arc::new(office), mariadb::Session::open(&emr));
    let booking = tokio::spawn({
        let office = office.clone();
        async move { book(&office, 1002, "11:00").await }
    });
    let sleeping = format!(
        "select count(*) from information_schema.processlist where db = '{emr}' and state = 'User sleep'"
    );
    eventually("the bridge's insert", async || (mariadb::run("", &sleeping) == "1").then_some(())).await;
    for change in [
        &event(5, "2", "1001", "2026-03-10", "11:00", 30),
        &event(5, "1", "1003", "2026-03-10", "15:00", 30),
        "update openemr_postcalendar_events set pc_apptstatus = '@' where pc_eid = 2;",
        "update patient_data set phone_home = '555' where pid = 1002;",
    ] {
        assert_eq!(staff.run(change), 1, "{change}");
    }
    assert_eq!(mariadb::run("", &sleeping), "1", "all of this happens while the bridge's statement runs");
    assert!(!booking.is_finished());
    assert_eq!(ends("the booking", booking).await.unwrap().0, 201);
    clean(&office).await;
}

/// A statement that waits for a table's lock would make the EMR's later statements wait behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn renewing_or_removing_the_bridge_never_makes_the_emr_wait() {
    let (office, emr) = attached().await;
    let db = office.db.clone();
    let (mut open, mut other) = (mariadb::Session::open(&emr), mariadb::Session::open(&emr));
    // Its statement fails if it has to wait behind the bridge's.
    other.run("set lock_wait_timeout = 1;");
    for removes in [false, true] {
        open.run(&format!("begin; {}", event(5, "1", "1001", "2026-03-10", "10:00", 30)));
        let db = db.clone();
        let renewing = tokio::spawn(async move {
            let bridge = Bridge::named("openemr-mariadb").unwrap();
            if removes { bridge.remove(&db).await } else { bridge.install(&db).await }
        });
        let trying = format!(
            "select count(*) from information_schema.processlist where db = '{emr}' and \
            state in ('User sleep', 'Waiting for table metadata lock')"
        );
        eventually("the renewal", async || (mariadb::run("", &trying) != "0").then_some(())).await;
        for number in 0..10 {
            assert_eq!(other.run(&event(5, "2", "1002", &format!("2031-03-1{number}"), "10:00", 30)), 1);
        }
        assert!(!renewing.is_finished(), "it still tries, and nobody waits for it");
        open.run("commit;");
        ends("the renewal", renewing).await.unwrap().unwrap();
        if !removes {
            clean(&office).await;
        }
    }
    assert!(!mariadb::run(&emr, "show tables").contains("partner_api"));
}

/// `mysql_fdw` sends three statements for each of ours: settings, prepare and execute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_booking_makes_six_round_trips_to_mariadb() {
    let (office, emr) = attached().await;
    let mut session = session(&office).await;
    let count = format!(
        "select concat_ws(' ', count(*), group_concat(command_type, ' ', left(argument, 30) separator '; ')) \
            from mysql.general_log where user_host like '{emr}[%' and command_type in ('Query', 'Prepare', \
            'Execute', 'Fetch')"
    );
    let mut counts = Vec::new();
    for (statement, most) in [
        (
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
            visit_duration) values (1001, 1, 'FOLLOWUP', '2026-03-DAY', '10:00', 30)",
            6,
        ),
        ("update visits set visit_time = '11:00' where visit_date = '2026-03-DAY'", 6),
        ("update visits set status = 'Cancelled' where visit_date = '2026-03-DAY'", 6),
        (
            "insert into patients (first_name, last_name, full_name, created_at, updated_at) values ('A', \
            'BDAY', 'A B', now(), now())",
            6,
        ),
        ("update patients set phone = '555-01DAY' where patient_id = 1001", 6),
    ] {
        // The first call of a session also plans.
        for (day, is_counted) in [(10, false), (11, true)] {
            if is_counted {
                mariadb::run("", "set global log_output = 'TABLE', global general_log = 1");
            }
            let before = mariadb::run("", &count);
            session.execute(AssertSqlSafe(statement.replace("DAY", &day.to_string()))).await.unwrap();
            if is_counted {
                mariadb::run("", "set global general_log = 0");
                let number = |text: &str| text.split(' ').next().unwrap().parse::<i64>().unwrap();
                let after = mariadb::run("", &count);
                counts.push((number(&after) - number(&before), most, after));
            }
        }
    }
    for (made, most, log) in counts {
        assert_eq!(made, most, "{log}");
    }
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_locked_row_does_not_hold_up_the_emrs_other_changes() {
    let (office, emr) = attached().await;
    for day in ["2031-03-16", "2031-03-17"] {
        mariadb::run(&emr, &event(5, "2", "1001", day, "10:00", 30));
    }
    bridge::pull(&office.db).await.unwrap();
    let mut locker = session(&office).await;
    locker.execute("begin; select 1 from visits where visit_date = '2031-03-16' for update").await.unwrap();
    mariadb::run(&emr, "update openemr_postcalendar_events set pc_hometext = 'Rash'");
    let applied = "select count(*) from visits where visit_complaint = 'Rash'";
    // The first pull may spend all of its time waiting for the row.
    for _ in 0..2 {
        ends("a pull", bridge::pull(&office.db)).await.expect("a pull beside a locked row");
    }
    assert_eq!(office.integer(applied).await, 1);
    locker.execute("rollback").await.unwrap();
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(office.integer(applied).await, 2);
    clean(&office).await;
}

/// A rollback in `PostgreSQL` does not restore what was removed from `MariaDB`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_removal_that_locks_on_our_tables_prevent_removes_nothing() {
    let (office, emr) = attached().await;
    let bridge = Bridge::named("openemr-mariadb").unwrap();
    let mut reader = session(&office).await;
    for table in ["bridge_failures", "schedule_exceptions", "visits"] {
        let read = format!("begin; select 1 from {table}");
        reader.execute(AssertSqlSafe(read)).await.unwrap();
        ends("the removal", bridge.remove(&office.db)).await.unwrap_err();
        reader.execute("rollback").await.unwrap();
        clean(&office).await;
    }
    bridge.remove(&office.db).await.unwrap();
    assert!(!mariadb::run(&emr, "show tables").contains("partner_api"));
}
