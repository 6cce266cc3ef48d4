//! Copies of the EMR's rows: the first one, interrupted ones, and after a detach.

use serde_json::json;
use shared::tenant::{
    Bridge,
    bridge::{self, Progress},
};

use super::{
    attached,
    care::{BOOK, code, visit},
    clean, event, run, text, with_roles,
};
use crate::office::run_sql;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_resumes_and_copies_each_row_once_despite_failures() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    // Without triggers there is much to load; a quarter of the rows fails permanently.
    run_sql(db, "alter table public.patient_data disable trigger user").await;
    run(
        &mut emr,
        "insert into patient_data (pid, fname, lname) select 2000 + n, 'P', case when n % 4 = 0 \
        then 'Bad' else 'Good' end
        from generate_series(1, 4400) n",
    )
    .await;
    run_sql(db, "alter table patients add constraint bad check (last_name <> 'Bad')").await;
    let mut told: Vec<Progress> = Vec::new();
    let first = bridge::load(db, false, |progress| {
        told.push(progress);
        progress.compared < 2_000
    })
    .await
    .unwrap();
    assert!(!first.is_whole && first.repaired > 1_000, "{first:?}");
    assert!(told.is_sorted_by_key(|it| it.compared) && told.len() > 2, "{told:?}");
    let second = bridge::load(db, false, |_| true).await.unwrap();
    assert!(second.is_whole, "{second:?}");
    assert_eq!(first.repaired + second.repaired, 3_300, "{first:?} {second:?}");
    assert!(first.compared + second.compared < 4_500, "no row has two turns: {first:?} {second:?}");
    assert_eq!(office.integer("select count(*) from bridge_failures where attempts = 1").await, 1_100);
    let again = bridge::load(db, false, |_| true).await.unwrap();
    assert_eq!((again.repaired, again.is_whole), (0, true));
    // Rows that keep failing do not stop the bridge from applying the next one before a booking.
    run_sql(db, "alter table public.patient_data enable trigger user; alter table visits rename to gone")
        .await;
    run(&mut emr, &event(5, "1", "1002", "2026-03-10", "10:00", 30)).await;
    run_sql(db, "alter table gone rename to visits").await;
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "10:00")).await, (409, json!("PROVIDER_CONFLICT")));
    // All of them are retried in turn, the oldest retry first.
    for _ in 0..11 {
        run_sql(db, "select bridge_catch_up(10000)").await;
    }
    assert_eq!(office.integer("select count(*) from bridge_failures where attempts < 3").await, 0);
    run_sql(db, "alter table patients drop constraint bad").await;
    assert_eq!(bridge::load(db, false, |_| true).await.unwrap().repaired, 1_100);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_booked_until_all_rows_are_copied() {
    let (office, mut emr) = attached().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    bridge.remove(&office.db).await.unwrap();
    run(&mut emr, &event(5, "1", "1002", "2026-03-10", "10:00", 30)).await;
    bridge.install(&office.db).await.unwrap();
    let day_ago = office.app.clock.now() - jiff::SignedDuration::from_hours(24);
    assert!(!bridge::is_due(&office.db, day_ago).await.unwrap(), "a copy under way is not compared");
    run_sql(&office.db, "update bridge set attached_at = now() - interval '2 hours'").await;
    assert!(bridge::is_due(&office.db, day_ago).await.unwrap(), "one that nobody started is");
    // Interrupted before the events.
    assert!(!bridge::load(&office.db, true, |_| false).await.unwrap().is_whole);
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "10:00")).await.0, 503);
    assert!(bridge::load(&office.db, true, |_| true).await.unwrap().is_whole);
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "10:00")).await, (409, json!("PROVIDER_CONFLICT")));
    assert_eq!(office.integer("select count(*) from log").await, 0);
    // Attaching again later repairs, and partners hear of what it repairs.
    run_sql(&office.db, "alter table public.openemr_postcalendar_events disable trigger user").await;
    run(&mut emr, &event(5, "2", "1001", "2031-03-10", "10:00", 30)).await;
    run_sql(&office.db, "alter table public.openemr_postcalendar_events enable trigger user").await;
    bridge::load(&office.db, true, |_| true).await.unwrap();
    assert_eq!(office.integer("select count(*) from log where table_name = 'visits'").await, 1);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_practice_can_be_attached_again_whatever_staff_have_changed() {
    let (mut owner, db, _, _) = with_roles().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    for grant in bridge.plan(&db).await.unwrap().grants {
        run(&mut owner, &grant).await;
    }
    bridge.install(&db).await.unwrap();
    bridge::load(&db, false, |_| true).await.unwrap();
    run(&mut owner, &event(5, "1", "1001", "2030-03-10", "10:00", 30)).await;
    run(&mut owner, &event(8, "1", "", "2030-03-11", "12:00", 60)).await;
    let rooms = "select count(*) from partner_api.resources";
    let before = text(&mut owner, rooms).await;
    bridge.remove(&db).await.unwrap();
    run(&mut owner, "delete from openemr_postcalendar_events; delete from patient_data where pid = 1003")
        .await;
    let plan = bridge.plan(&db).await.unwrap();
    assert_eq!((plan.patients, plan.events), (2, 0), "a copy of a row that the EMR deleted is no stranger");
    bridge.install(&db).await.unwrap();
    bridge::load(&db, true, |_| true).await.unwrap();
    assert_eq!(bridge::check(&db).await.unwrap(), Vec::new());
    assert_eq!(text(&mut owner, rooms).await, before, "no room is there twice");
    let off = "select count(*) from partner_api.schedule_exceptions";
    assert_eq!(text(&mut owner, off).await, "0", "time off that the EMR has deleted");
    let visits = "select count(*) from partner_api.visits where status <> 'Deleted'";
    assert_eq!(text(&mut owner, visits).await, "0");
}
