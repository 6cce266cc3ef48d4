//! Outages: `MariaDB` is down or hangs, and recovers.

use serde_json::{Value, json};
use shared::tenant::bridge;
use sqlx::Executor;

use super::{BOOK, attached, book, clean, event, line, line::State, one, reason, session, visit};
use crate::office::{Office, ends, mariadb};

/// A call of each operation that writes to the EMR. The visit is of patient 1001.
fn writes() -> [(&'static str, &'static str, Value); 5] {
    let (date, time) = ("2026-03-11", "15:00");
    [
        ("POST", BOOK, visit(1002, "11:00")),
        ("POST", "/v1/DemoOffice/visits/1/reschedule", json!({ "VisitDate": date, "VisitTime": time })),
        ("POST", "/v1/DemoOffice/visits/1/cancel", json!({})),
        (
            "POST",
            "/v1/DemoOffice/prospects",
            json!({ "FirstName": "Zoe", "LastName": "Quist", "Phone": "555-0199" }),
        ),
        ("PUT", "/v1/DemoOffice/prospects/1001", json!({ "Phone": "555-0177" })),
    ]
}

async fn is_unavailable(office: &Office, method: &str, path: &str, body: &Value) {
    let token = office.token("all").await;
    let reply = ends("a call", office.send(&token, method, path, Some(body))).await;
    reply.expect_problem(503, "UNAVAILABLE");
    assert!(reply.headers.contains_key("retry-after"), "{method} {path}");
}

/// Breaks the connection while the bridge's statement runs, wherever it writes.
const BREAKER: &str = "
    delimiter //
    create trigger breaks_events before insert on openemr_postcalendar_events for each row begin
        kill connection_id(); do sleep(0); end //
    create trigger breaks_changes before update on openemr_postcalendar_events for each row begin
        kill connection_id(); do sleep(0); end //
    create trigger breaks_patients before insert on patient_data for each row begin
        kill connection_id(); do sleep(0); end //
    create trigger breaks_names before update on patient_data for each row begin
        kill connection_id(); do sleep(0); end //";
const MENDED: &str = "drop trigger breaks_events; drop trigger breaks_changes; drop trigger breaks_patients; \
    drop trigger breaks_names";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_connection_that_breaks_during_a_call_returns_503_and_leaves_nothing() {
    let (office, emr) = attached().await;
    assert_eq!(book(&office, 1001, "10:00").await.0, 201);
    clean(&office).await;
    let rows = "select * from openemr_postcalendar_events; select * from patient_data";
    let before = mariadb::run(&emr, rows);
    mariadb::run(&emr, BREAKER);
    for (method, path, body) in writes() {
        is_unavailable(&office, method, path, &body).await;
    }
    mariadb::run(&emr, MENDED);
    // The practice's database is tried again after a moment.
    ends("the practice is asked again", async {
        while bridge::pull(&office.db).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, rows), before);
}

/// `MariaDB` was restarted, or a connection was idle for too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_connection_closed_by_mariadb_is_reopened_without_an_error() {
    let (office, emr) = attached().await;
    let mut session = session(&office).await;
    let connections = format!("select id from information_schema.processlist where user = '{emr}'");
    for statement in [
        "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration) \
            values (1001, 1, 'FOLLOWUP', '2026-03-10', '10:00', 30)",
        "update visits set visit_time = '11:00' where patient_id = 1001",
        "insert into patients (first_name, last_name, full_name, created_at, updated_at) values ('A', 'B', \
            'A B', now(), now())",
        "update patients set phone = '555-0177' where patient_id = 1001",
        "select bridge_refresh('bridge_apply_event', 1)",
        "select bridge_refresh('bridge_apply_patient', 1001)",
        "select bridge_pull(10)",
        "select bridge_last_id('visits')",
        "select bridge_begin_above('visits', 100)",
        "select bridge_go_on(10, false)",
        "select count(*) from bridge_check()",
        "select bridge_renew()",
    ] {
        session.execute("select bridge_pull(10)").await.unwrap();
        let open = mariadb::run("", &connections);
        assert!(!open.is_empty());
        for id in open.lines() {
            // Another of the bridge's connections may have ended by itself.
            let _ = mariadb::try_run("", &format!("kill {id}"));
        }
        session.execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn only_writes_return_503_while_the_server_is_down() {
    let (office, emr) = attached().await;
    let line = line::before(&office).await;
    assert_eq!(book(&office, 1001, "10:00").await.0, 201);
    line.send_replace(State::Down);
    for (method, path, body) in writes() {
        is_unavailable(&office, method, path, &body).await;
    }
    // Reads and writes that do not concern the EMR continue.
    assert_eq!(reason(&office, "10:15").await, "BOOKED");
    let tag = json!({ "TagID": 1 });
    assert_ne!(office.post("/v1/DemoOffice/prospects/1001/tags", &tag).await.status.as_u16(), 503);
    assert!(bridge::pull(&office.db).await.unwrap_err().is_of_emr());
    mariadb::run(&emr, &event(5, "1", "1002", "2026-03-10", "11:15", 30));
    line.send_replace(State::Up);
    assert_eq!(book(&office, 1003, "11:00").await, (409, "PROVIDER_CONFLICT".to_owned()));
    assert_eq!(book(&office, 1002, "10:30").await.0, 201);
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, "select count(*) from openemr_postcalendar_events"), "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_hanging_server_holds_at_most_four_backends_and_no_caller() {
    let (office, emr) = attached().await;
    let line = line::before(&office).await;
    assert_eq!(book(&office, 1001, "10:00").await.0, 201);
    line.send_replace(State::Silent);
    let mut callers = tokio::task::JoinSet::new();
    for patient in 1..=12 {
        let mut session = session(&office).await;
        callers.spawn(async move {
            session.execute("set statement_timeout = '1250ms'").await.unwrap();
            let insert = format!(
                "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
                    visit_duration)
                 values (1001 + {patient} % 3, 2, 'FOLLOWUP', date '2026-03-11' + {patient}, '10:00', 30)"
            );
            session.execute(sqlx::AssertSqlSafe(insert)).await.map(|_| ()).map_err(shared::sql::Error::from)
        });
    }
    let mut watcher = session(&office).await;
    ends("calls that find no slot", async {
        for _ in 0..8 {
            let error = callers.join_next().await.unwrap().unwrap().unwrap_err();
            assert!(error.is_of_emr(), "{error:?}");
        }
    })
    .await;
    let inside = "select count(distinct pid) from pg_locks where locktype = 'advisory' and classid = 20926 \
        and objid between 1 and 4 and granted
        and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(one(&mut watcher, inside).await, "4");
    // The API's caller gets 503 in time.
    let refused = office.post(BOOK, &visit(1002, "11:00")).await;
    assert_eq!(refused.status.as_u16(), 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(one(&mut watcher, inside).await, "4");
    line.send_replace(State::Up);
    ends("those inside", async {
        while let Some(done) = callers.join_next().await {
            // By then, they have timed out.
            done.unwrap().unwrap_err();
        }
    })
    .await;
    assert_eq!(one(&mut watcher, inside).await, "0");
    // Their writes in the EMR are undone.
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, "select count(*) from openemr_postcalendar_events"), "1");
    ends("the practice is asked again", async {
        while office
            .get("/v1/DemoOffice/availability/providers/1/check?date=2026-03-10&time=11:00&duration=15")
            .await
            .status
            .as_u16()
            != 200
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(book(&office, 1002, "11:00").await.0, 201);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_comparison_while_mariadb_is_down_is_a_finding() {
    let (office, _) = attached().await;
    let line = line::before(&office).await;
    line.send_replace(State::Down);
    let practice = "DemoOffice".try_into().unwrap();
    let compared = ends("it", log_poller::look_after(&office.app, &practice, jiff::Timestamp::MAX)).await;
    assert_eq!(compared.unwrap(), Some(1));
    let found = office.app.control.data_problems(Some(&practice), 10, office.app.clock.now()).await.unwrap();
    assert!(format!("{found:?}").contains("the EMR's server does not answer"), "{found:?}");
}
