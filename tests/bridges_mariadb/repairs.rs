//! A repair beside other work.

use shared::tenant::bridge;
use sqlx::Executor;

use super::{attached, clean, event, one, session};
use crate::office::{ends, eventually, mariadb};

/// The repair has locked a visit, so a booking records the EMR's change of it for a retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_repair_keeps_a_failure_that_is_recorded_meanwhile() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, &event(5, "1", "1001", "2031-05-10", "10:00", 30));
    bridge::pull(&office.db).await.unwrap();
    clean(&office).await;
    let (mut repairing, mut other) = (session(&office).await, session(&office).await);
    other
        .execute(
            "set partner_api.writing = 'emr'; update visits set visit_complaint = 'drift'; \
            reset partner_api.writing;
            create function waits() returns trigger language plpgsql as $$ begin \
            perform pg_advisory_xact_lock(77); return new; end $$;
            create trigger zz_waits before update on visits for each row execute function waits();
            update bridge set turn = 5, after = -1, went_on_at = now();
            select pg_advisory_lock(77)",
        )
        .await
        .unwrap();
    let repair = repairing.execute("select bridge_go_on(1000, false)");
    let meanwhile = async {
        let waits = "select exists (select 1 from pg_stat_activity where \
            datname = current_database() and wait_event = 'advisory')";
        eventually("the repair", async || (one(&mut other, waits).await == "true").then_some(())).await;
        mariadb::run(&emr, "update openemr_postcalendar_events set pc_startTime = '12:00'");
        let follow =
            "begin; set local lock_timeout = '300ms'; select bridge_enter(); select bridge_follow(); commit";
        other.execute(follow).await.unwrap();
        let recorded = one(&mut other, "select count(*) from bridge_failures").await;
        other.execute("select pg_advisory_unlock(77)").await.unwrap();
        recorded
    };
    let (repaired, recorded) = ends("both", Box::pin(async { tokio::join!(repair, meanwhile) })).await;
    repaired.unwrap();
    assert_eq!(recorded, "1");
    assert_eq!(office.integer("select count(*) from bridge_failures").await, 1);
    other.execute("drop function waits() cascade").await.unwrap();
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(one(&mut other, "select visit_time from visits").await, "12:00:00");
    clean(&office).await;
}
