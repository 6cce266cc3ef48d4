//! Staff and the API change the same rows at the same time: no change by staff is lost.

use serde_json::json;
use shared::tenant::bridge;
use sqlx::{Executor, PgConnection};

use super::{attached, clean, emr, event, run, text};
use crate::office::{Office, ends, eventually, run_sql};

/// Starts a session as the API's, which is not the EMR's.
async fn api(office: &Office) -> PgConnection {
    let mut session = emr(office.dsn()).await;
    run(&mut session, "set search_path = partner_api").await;
    session
}

/// Records changes of the EMR as waiting, as its triggers do if they cannot apply them.
async fn deferred(session: &mut PgConnection, change: &str, apply: &str, key: i64) {
    run(
        session,
        &format!(
            "begin; set local search_path = partner_api, public; set local partner_api.writing = 'ours';
            {change};
            select partner_api.bridge_note('{apply}', array[{key}::bigint], 'deferred', false); commit"
        ),
    )
    .await;
}

/// Waits until a session waits for the lock of another one.
async fn until_it_waits(office: &Office, session: i32) {
    let waits = format!("select cardinality(pg_blocking_pids({session}))::bigint");
    eventually("the session waits", async || (office.integer(&waits).await > 0).then_some(())).await;
}

async fn pid(session: &mut PgConnection) -> i32 {
    text(session, "select pg_backend_pid()").await.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_the_api_overwrites_no_column_that_staff_change_meanwhile() {
    let (office, mut staff) = attached().await;
    let mut api = api(&office).await;
    run(&mut staff, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    let own = text(&mut staff, "select max(pc_eid) from openemr_postcalendar_events").await;
    // The API has read its rows and locks them.
    run(
        &mut api,
        "begin; select 1 from patients where patient_id = 1001 for update; select 1 from visits for update",
    )
    .await;
    run(
        &mut staff,
        "update patient_data set phone_home = 'of the staff', lname = 'Staff' where pid = 1001;
        update openemr_postcalendar_events set pc_hometext = 'of the staff', pc_room = 'r2', pc_aid = '2', \
        \"pc_startTime\" = '11:00'",
    )
    .await;
    run(
        &mut api,
        "update patients set email = 'api@example.com', version = version + 1 where patient_id = 1001",
    )
    .await;
    run(&mut api, &format!("update visits set status = 'Cancelled' where visit_id = {own}; commit")).await;
    let patient = "select concat_ws(' | ', lname, phone_home, email) from patient_data where pid = 1001";
    assert_eq!(text(&mut staff, patient).await, "Staff | of the staff | api@example.com");
    let events = "select concat_ws(' ', pc_aid, pc_room, \"pc_startTime\", pc_apptstatus, pc_hometext) from \
        openemr_postcalendar_events";
    assert_eq!(text(&mut staff, events).await, "2 r2 11:00:00 x of the staff");
    bridge::catch_up(&office.db, || true).await.unwrap();
    let visit = "select concat_ws(' ', provider_id, room_id, visit_time, status) from partner_api.visits";
    assert_eq!(text(&mut staff, visit).await, "2 102 11:00:00 Cancelled");
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_staff_during_a_retry_of_the_same_row_is_applied_afterwards() {
    let (office, mut staff) = attached().await;
    let mut retry = api(&office).await;
    for time in ["10:00", "14:00"] {
        run(&mut staff, &event(5, "1", "1001", "2031-03-10", time, 30)).await;
    }
    let first: i64 =
        text(&mut staff, "select min(pc_eid) from openemr_postcalendar_events").await.parse().unwrap();
    // One row alone, and several together.
    for keys in [vec![first], vec![first, first + 1]] {
        for key in &keys {
            let change = format!(
                "update openemr_postcalendar_events set \"pc_startTime\" = \"pc_startTime\" + interval '1 \
                min' where pc_eid = {key}"
            );
            deferred(&mut staff, &change, "bridge_apply_event", *key).await;
        }
        run(&mut retry, "begin; select bridge_catch_up(500)").await;
        run(
            &mut staff,
            "update openemr_postcalendar_events set \"pc_startTime\" = \"pc_startTime\" + interval '2 min'",
        )
        .await;
        run(&mut retry, "commit").await;
        assert!(office.integer("select count(*) from bridge_late where key > 0").await > 0, "{keys:?}");
        let found = bridge::check(&office.db).await.unwrap();
        assert!(found.iter().any(|it| it.finding == "EMR change not applied yet"), "{found:?}");
        bridge::catch_up(&office.db, || true).await.unwrap();
        assert_eq!(office.integer("select count(*) from bridge_late").await, 0);
        clean(&office).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_waited_for_a_change_by_staff_does_not_overwrite_it() {
    let (office, mut staff) = attached().await;
    for time in ["10:00", "14:00"] {
        run(&mut staff, &event(5, "1", "1001", "2031-03-10", time, 30)).await;
    }
    let keys =
        text(&mut staff, "select string_agg(pc_eid::text, ',') from openemr_postcalendar_events").await;
    let (first, _) = keys.split_once(',').unwrap();
    for (apply, change) in [
        (
            format!("bridge_apply_event({first})"),
            "update openemr_postcalendar_events set \"pc_startTime\" = '1{}:30' where pc_eid % 2 = 1",
        ),
        (
            format!("bridge_follow('bridge_apply_event', array[{keys}]::bigint[], null, true)"),
            "update openemr_postcalendar_events set pc_hometext = 'change {}'",
        ),
        (
            "bridge_apply_patients(array[1001, 1002]::bigint[])".to_owned(),
            "update patient_data set lname = 'Change {}'",
        ),
    ] {
        let mut retry = api(&office).await;
        // Our row does not have the first change yet; the second one is not committed.
        run(
            &mut staff,
            &format!("begin; set local partner_api.writing = 'ours'; {}; commit", change.replace("{}", "1")),
        )
        .await;
        run(&mut staff, &format!("begin; {}", change.replace("{}", "2"))).await;
        let pid = pid(&mut retry).await;
        let retried = tokio::spawn(async move {
            run(&mut retry, &format!("set partner_api.writing = 'emr'; select {apply}")).await;
        });
        until_it_waits(&office, pid).await;
        run(&mut staff, "commit").await;
        ends("the retry", retried).await.unwrap();
        clean(&office).await;
    }
}

/// The repair has replaced the time off by that of the state which it saw; the EMR's hook waits for
/// it, and must replace that, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_off_that_staff_move_while_a_repair_rewrites_it_is_where_they_moved_it() {
    let (office, mut staff) = attached().await;
    let mut repair = api(&office).await;
    run(&mut staff, &event(8, "1", "", "2031-03-10", "12:00", 60)).await;
    let own = text(&mut staff, "select max(pc_eid) from openemr_postcalendar_events").await;
    run(
        &mut repair,
        &format!("begin; set local partner_api.writing = 'emr'; select bridge_apply_event({own})"),
    )
    .await;
    let moving = pid(&mut staff).await;
    let moved = tokio::spawn(async move {
        run(&mut staff, "update openemr_postcalendar_events set \"pc_startTime\" = '15:00'").await;
    });
    until_it_waits(&office, moving).await;
    run(&mut repair, "commit").await;
    ends("the change by staff", moved).await.unwrap();
    // If the hook's 300 ms were over first, the change is recorded.
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_respects_time_off_that_staff_entered_after_the_caller_looked() {
    let (office, mut staff) = attached().await;
    let mut api = api(&office).await;
    run(&mut staff, &event(8, "1", "", "2031-03-10", "12:00", 60)).await;
    run(&mut staff, &event(11, "", "", "2031-03-11", "12:00", 60)).await;
    run(&mut staff, &event(8, "2", "", "2031-03-12", "23:30", 60)).await;
    let visit = |provider: i64, date: &str, time: &str, part: &str| {
        format!(
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
            visit_duration, provider_time, provider_duration)
            values (1001, {provider}, 'Consult', '{date}', '{time}', 30, {part})"
        )
    };
    for (provider, date, time, part, is_free) in [
        (1, "2031-03-10", "12:15", "null, null", false),
        (1, "2031-03-10", "11:45", "null, null", false),
        (1, "2031-03-10", "11:30", "null, null", true),
        (1, "2031-03-10", "13:00", "null, null", true),
        (2, "2031-03-10", "12:15", "null, null", true),
        // Only the provider's part counts.
        (1, "2031-03-10", "12:45", "'13:00', 15", true),
        (1, "2031-03-10", "11:45", "'12:00', 15", false),
        // Time off of the whole practice, and past midnight.
        (2, "2031-03-11", "12:15", "null, null", false),
        (2, "2031-03-13", "00:15", "null, null", false),
        (2, "2031-03-13", "00:30", "null, null", true),
    ] {
        run(&mut api, "begin").await;
        let booked =
            sqlx::query(sqlx::AssertSqlSafe(visit(provider, date, time, part))).execute(&mut api).await;
        run(&mut api, "rollback").await;
        let of_event = format!("{provider} {date} {time} {part}");
        match booked {
            Ok(_) => assert!(is_free, "{of_event}: booked over time off"),
            Err(error) => {
                let error = error.into_database_error().unwrap();
                assert!(!is_free, "{of_event}: {error}");
                assert_eq!(
                    (error.code().as_deref(), error.constraint()),
                    (Some("23P01"), Some("visits_provider_free"))
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_the_emr_waits_no_longer_if_it_has_more_statements() {
    let (office, mut staff) = attached().await;
    let many = 30;
    run(
        &mut staff,
        &format!(
            "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
            pc_duration, \"pc_startTime\")
            select 5, '2', '1001', date '2031-01-01' + n, 1800, '10:00' from generate_series(1, {many}) n"
        ),
    )
    .await;
    let mut locker = api(&office).await;
    run(&mut locker, "begin; select 1 from visits for update").await;
    let mut took = Vec::new();
    for statements in [1, many] {
        let change = |n: i64| {
            format!(
                "update openemr_postcalendar_events set \"pc_startTime\" = '11:00' where \
                \"pc_eventDate\" = date '2031-01-01' + {n};"
            )
        };
        let changes = (1..=statements).map(change).collect::<Vec<_>>().join(" ");
        let began = std::time::Instant::now();
        ends("the EMR's transaction", staff.execute(sqlx::AssertSqlSafe(format!("begin; {changes} commit"))))
            .await
            .unwrap();
        took.push(began.elapsed());
    }
    assert!(took[1] < took[0] * 12, "{took:?}: each statement has waited");
    run(&mut locker, "rollback").await;
    bridge::catch_up(&office.db, || true).await.unwrap();
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_can_be_rescheduled_while_changes_wait_to_be_applied_to_it() {
    let (office, mut staff) = attached().await;
    for (number, (change, apply, key, status)) in (10..).zip([
        ("update openemr_postcalendar_events set pc_hometext = 'later'", "event", 0, 200),
        ("update openemr_postcalendar_events set pc_apptstatus = '>'", "event", 0, 409),
        ("delete from openemr_postcalendar_events", "event", 0, 404),
        (
            "update openemr_postcalendar_events set pc_room = 'r9'; insert into list_options (list_id, \
                option_id) values ('patient_flow_board_rooms', 'r9')",
            "rooms",
            0,
            200,
        ),
        (
            "update openemr_postcalendar_categories set pc_catname = 'Control' where pc_catid = 6",
            "visit_type",
            6,
            422,
        ),
        ("delete from patient_data where pid = 1003", "patient", 1003, 404),
    ]) {
        run(&mut staff, &event(6, "1", "1003", &format!("2026-03-{number}"), "10:00", 30)).await;
        let visit = office.integer("select max(visit_id) from visits").await;
        let key = if apply == "event" { visit } else { key };
        deferred(&mut staff, change, &format!("bridge_apply_{apply}"), key).await;
        let to = json!({ "VisitDate": format!("2026-03-{number}"), "VisitTime": "11:00" });
        // A busy machine may need more than the 300 ms that a call waits for the bridge.
        let moved = eventually("a response other than 503", async || {
            let moved = office.post(&format!("/v1/DemoOffice/visits/{visit}/reschedule"), &to).await;
            (moved.status != 503).then_some(moved)
        })
        .await;
        assert_eq!(moved.status.as_u16(), status, "{change}: {}", moved.body);
        bridge::catch_up(&office.db, || true).await.unwrap();
        clean(&office).await;
        run(&mut staff, "delete from openemr_postcalendar_events").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_changes_during_its_own_update_is_a_conflict_not_a_fault() {
    let (office, mut staff) = attached().await;
    run(&mut staff, &event(6, "1", "1001", "2026-03-10", "10:00", 30)).await;
    let visit = office.integer("select max(visit_id) from visits").await;
    run_sql(
        &office.db,
        "create function meddle() returns trigger language plpgsql as $$ begin
            if pg_trigger_depth() = 1 then
                update visits set visit_notes = 'first' where visit_id = new.visit_id;
            end if;
            return new;
        end $$;
        create trigger meddle before update on visits for each row execute function meddle()",
    )
    .await;
    let to = json!({ "VisitDate": "2026-03-10", "VisitTime": "11:00" });
    let moved = office.post(&format!("/v1/DemoOffice/visits/{visit}/reschedule"), &to).await;
    assert_eq!(moved.status.as_u16(), 503, "{}", moved.body);
}
