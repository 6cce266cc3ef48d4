//! Series of the EMR, and days that only `MariaDB` has.

use shared::tenant::bridge;
use sqlx::Executor;

use super::{attached, clean, event, one, session};
use crate::{
    bridges::series::{DAILY, expansions},
    office::{Office, mariadb},
};

fn daily(provider: i64, first: &str, how_many: i64) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_duration, \
            pc_startTime, pc_recurrtype, pc_recurrspec)
         select 8, '{provider}', '', {first}, 3600, '12:00', 1, '{DAILY}' from seq_1_to_{how_many}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn recurring_events_expand_to_the_days_the_emr_shows() {
    let (office, _) = attached().await;
    let mut session = session(&office).await;
    for (query, dates) in expansions() {
        assert_eq!(one(&mut session, &query).await, dates, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_day_that_no_month_has_is_the_one_that_the_emr_shows() {
    let (office, emr) = attached().await;
    let block = event(8, "1", "", "2031-02-31", "10:00", 30);
    mariadb::run(&emr, &format!("set sql_mode = 'allow_invalid_dates'; {block}"));
    assert_eq!(bridge::pull(&office.db).await.unwrap(), 1);
    let day = "select string_agg(exception_date::text, ' ') from schedule_exceptions";
    assert_eq!(one(&mut session(&office).await, day).await, "2031-03-03");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_raised_horizon_opens_no_day_of_a_series() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &daily(1, "current_date", 1));
    bridge::pull(&office.db).await.unwrap();
    let mut api = session(&office).await;
    api.execute("update tenant_identity set horizon_days = 1000").await.unwrap();
    for (time, works) in [("12:15", false), ("14:00", true)] {
        let insert = format!(
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
                visit_duration) values (1001, 1, 'FOLLOWUP', current_date + 700, '{time}', 30)"
        );
        let done = api.execute(sqlx::AssertSqlSafe(insert)).await;
        assert_eq!(done.is_ok(), works, "{time}: {done:?}");
    }
    let last = "select count(*) from schedule_exceptions where exception_date = bridge_reach()";
    assert_eq!(office.integer(last).await, 0);
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 1);
    assert_eq!(office.integer(last).await, 1);
    clean(&office).await;
}

/// A pull is busy with changes of the EMR, maybe of a series.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_renewal_beside_a_long_pull_is_made_up_by_the_next_one() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &daily(1, "current_date", 2));
    bridge::pull(&office.db).await.unwrap();
    let whole = days(&office).await;
    let mut night = session(&office).await;
    night
        .execute(
            "delete from schedule_exceptions where exception_date > bridge_reach() - 7;
            update bridge set renewed_until = bridge_reach() - 7; set lock_timeout = '20ms'",
        )
        .await
        .unwrap();
    let mut pull = session(&office).await;
    pull.execute("begin; select pg_advisory_xact_lock(20926, 0)").await.unwrap();
    let refused = night.execute("select bridge_renew()").await.unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    assert_eq!(days(&office).await, whole - 2 * 7);
    let booked = "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
        visit_duration) values (1001, 1, 'FOLLOWUP', bridge_reach() - 3, '12:15', 30)";
    let refused = night.execute(booked).await.unwrap_err().to_string();
    assert!(refused.contains("visits_provider_free"), "{refused}");
    pull.execute("rollback").await.unwrap();
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 2);
    assert_eq!(days(&office).await, whole);
    clean(&office).await;
}

async fn days(office: &Office) -> i64 {
    office.integer("select count(*) from schedule_exceptions").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn many_series_are_extended_page_by_page() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &daily(2, "current_date - interval 3 day", 120));
    while bridge::pull(&office.db).await.unwrap() > 0 {}
    clean(&office).await;
    let whole = days(&office).await;
    // The state after a week.
    session(&office)
        .await
        .execute(
            "delete from schedule_exceptions where exception_date > bridge_reach() - 7;
            update bridge set renewed_until = bridge_reach() - 7",
        )
        .await
        .unwrap();
    assert_eq!(days(&office).await, whole - 7 * 120);
    assert_eq!(office.integer("select done from bridge_renew_some(-1, 50)").await, 50);
    assert_eq!(days(&office).await, whole - 7 * 70);
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 70);
    assert_eq!(days(&office).await, whole);
    clean(&office).await;
    assert_eq!(bridge::renew(&office.db).await.unwrap(), 0, "all are extended");
}
