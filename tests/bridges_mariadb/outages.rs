//! Outages: `MariaDB` is down or hangs, and recovers.

use shared::tenant::bridge;
use sqlx::Executor;

use super::{BOOK, attached, book, clean, event, line, line::State, one, reason, session, visit};
use crate::office::{ends, mariadb};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn only_writes_return_503_while_the_server_is_down() {
    let (office, emr) = attached().await;
    let line = line::before(&office).await;
    assert_eq!(book(&office, 1001, "10:00").await.0, 201);
    line.send_replace(State::Down);
    let refused = office.post(BOOK, &visit(1002, "11:00")).await;
    assert_eq!(refused.status.as_u16(), 503);
    assert!(refused.headers.contains_key("retry-after"));
    let prospects =
        serde_json::json!({ "FirstName": "Zoe", "LastName": "Quist", "EMail": "zoe@example.com" });
    assert_eq!(office.post("/v1/DemoOffice/prospects", &prospects).await.status.as_u16(), 503);
    // Reads and writes that do not concern the EMR continue.
    assert_eq!(reason(&office, "10:15").await, "BOOKED");
    let tag = serde_json::json!({ "TagID": 1 });
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
    ends("those who find no slot", async {
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
