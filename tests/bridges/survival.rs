//! The EMR's program keeps working while our side is damaged; the comparison finds the rows that it
//! wrote meanwhile, and a repair applies them.

use shared::tenant::{Bridge, bridge};
use sqlx::Executor;

use super::{attached, clean, emr, event, run, sabotage, text, with_roles};
use crate::office::{ends, run_sql};

/// How our side is damaged, and the statements that repair it. If those are empty, renewing the
/// bridge repairs it.
const FAULTS: [(&str, &str); 11] = [
    ("alter table visits rename to gone", "alter table gone rename to visits"),
    ("alter table patients rename to gone", "alter table gone rename to patients"),
    ("alter table log rename to gone", "alter table gone rename to log"),
    ("drop function emr_visits(bigint[])", ""),
    (
        "create or replace function bridge_apply_event(id bigint) returns void language plpgsql as 'begin \
            perform nonsense(); end'",
        "",
    ),
    (
        "create or replace function bridge_apply_patient(id bigint) returns void language plpgsql as 'begin \
            raise division_by_zero; end'",
        "",
    ),
    (
        "alter table patients add constraint full_disk check (patient_id < 0) not valid",
        "alter table patients drop constraint full_disk",
    ),
    // The disk is full for all our writes; in the next one, for all except `bridge_failures`.
    (
        "create function full_disk() returns trigger language plpgsql as 'begin raise disk_full; end';
        create trigger full_disk before insert or update on visits for each row execute function full_disk();
        create trigger full_disk before insert or update on patients for each row execute function \
        full_disk();
        create trigger full_disk before insert or update on bridge_failures for each row execute function \
        full_disk()",
        "drop function full_disk() cascade",
    ),
    (
        "create function full_disk() returns trigger language plpgsql as 'begin raise disk_full; end';
        create trigger full_disk before insert or update on visits for each row execute function full_disk()",
        "drop function full_disk() cascade",
    ),
    ("drop function bridge_hook_event(), bridge_hook_patient() cascade", ""),
    (
        "drop trigger partner_api_inserts on public.patient_data; alter table \
            public.openemr_postcalendar_events disable trigger partner_api_inserts",
        "",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emr_writes_succeed_despite_faults_and_are_applied_after_repair() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    for (number, (fault, mending)) in (0..).zip(FAULTS) {
        sabotage(db, fault).await;
        let pid = 3000 + number;
        run(
            &mut emr,
            &format!("insert into patient_data (pid, fname, lname) values ({pid}, 'While', 'Broken')"),
        )
        .await;
        run(&mut emr, &format!("update users set specialty = 'after {number}' where id = 2")).await;
        run(&mut emr, &event(5, "2", "1002", &format!("2031-03-{}", 10 + number), "10:00", 30)).await;
        run(&mut emr, &event(5, "2", &pid.to_string(), &format!("2031-04-{}", 10 + number), "10:00", 30))
            .await;
        assert_eq!(
            text(&mut emr, &format!("select count(*) from patient_data where pid = {pid}")).await,
            "1"
        );
        assert_eq!(
            text(&mut emr, "select count(*) from openemr_postcalendar_events").await,
            (2 * (number + 1)).to_string(),
            "{fault}"
        );
        if !mending.is_empty() {
            sabotage(db, mending).await;
        }
        Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap();
        let known = bridge::check(db).await.unwrap();
        assert!(!known.is_empty(), "{fault}");
        bridge::load(db, false, |_| true).await.unwrap();
        assert_eq!(bridge::check(db).await.unwrap(), Vec::new(), "{fault}");
        let followed = format!("select count(*) from partner_api.visits where patient_id = {pid}");
        assert_eq!(text(&mut emr, &followed).await, "1", "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_in_the_change_capture_are_found_and_repaired() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    let tables = "public.users public.patient_data public.openemr_postcalendar_categories \
        public.openemr_postcalendar_events public.list_options";
    let mut faults =
        vec![("drop trigger write_through on visits".to_owned(), "missing trigger on our tables")];
    for table in tables.split(' ') {
        for kind in ["inserts", "updates", "deletes"] {
            for fault in [
                format!("alter table {table} disable trigger partner_api_{kind}"),
                format!("alter table {table} enable replica trigger partner_api_{kind}"),
                format!("drop trigger partner_api_{kind} on {table}"),
            ] {
                faults.push((fault, "EMR table without our triggers"));
            }
        }
    }
    faults.push((
        "alter function bridge_hook_event() security invoker".to_owned(),
        "EMR table without our triggers",
    ));
    for own in ["a_bridge_visit_begins on visits", "write_through on patients", "is_the_emrs on visit_types"]
    {
        faults.push((format!("drop trigger {own}"), "missing trigger on our tables"));
    }
    for (fault, finding) in faults {
        sabotage(db, &fault).await;
        let found = bridge::check(db).await.unwrap();
        assert_eq!(found.len(), 1, "{fault}: {found:?}");
        assert_eq!((found[0].finding.as_str(), found[0].count), (finding, 1), "{fault}");
        Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap();
        assert_eq!(bridge::check(db).await.unwrap(), Vec::new(), "{fault}");
    }
    // No trigger sees it.
    run(&mut emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    run(&mut emr, &event(8, "1", "", "2031-03-10", "12:00", 60)).await;
    run(&mut emr, "truncate openemr_postcalendar_events").await;
    let found: Vec<_> = bridge::check(db).await.unwrap().into_iter().map(|it| it.finding).collect();
    assert_eq!(found, ["event: different time off", "event: surplus"]);
    bridge::load(db, false, |_| true).await.unwrap();
    assert_eq!(bridge::check(db).await.unwrap(), Vec::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_grants_block_no_emr_write() {
    let (mut owner, db, _, role) = with_roles().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    let grants = bridge.plan(&db).await.unwrap().grants;
    for grant in &grants {
        run(&mut owner, grant).await;
    }
    bridge.install(&db).await.unwrap();
    bridge::load(&db, true, |_| true).await.unwrap();
    for (number, revoked) in [
        format!("revoke all on openemr_postcalendar_events from {role}"),
        format!("revoke select on patient_data from {role}"),
        format!(
            "revoke all on users, patient_data, openemr_postcalendar_events, \
            openemr_postcalendar_categories, list_options from {role}"
        ),
    ]
    .into_iter()
    .enumerate()
    {
        run(&mut owner, &revoked).await;
        run(&mut owner, &event(5, "2", "1002", &format!("2031-03-{}", 10 + number), "10:00", 30)).await;
        run(&mut owner, &format!("update patient_data set lname = 'Later{number}' where pid = 1002")).await;
        let found = bridge::check(&db).await.unwrap();
        assert!(found.iter().any(|it| it.finding == "missing privilege"), "{revoked}: {found:?}");
        let missing = bridge.plan(&db).await.unwrap().grants;
        assert!(!missing.is_empty(), "{revoked}");
        for grant in missing {
            run(&mut owner, &grant).await;
        }
        bridge.install(&db).await.unwrap();
        bridge::load(&db, false, |_| true).await.unwrap();
        assert_eq!(bridge::check(&db).await.unwrap(), Vec::new(), "{revoked}");
    }
    assert_eq!(text(&mut owner, "select count(*) from partner_api.visits").await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_on_our_tables_block_no_emr_write() {
    let (office, mut program) = attached().await;
    for day in 1..=20 {
        run(&mut program, &event(5, "2", "1002", &format!("2031-03-{day}"), "10:00", 30)).await;
    }
    let mut locker = emr(office.dsn()).await;
    locker
        .execute("begin; lock table partner_api.visits, partner_api.patients, partner_api.providers")
        .await
        .unwrap();
    // The writes end while the tables are locked; many rows together wait no longer than one.
    ends("the EMR's writes", async {
        run(
            &mut program,
            "begin; update openemr_postcalendar_events set \"pc_startTime\" = '11:00';
            update patient_data set lname = lname || 's'; update users set title = 'Dr'; commit",
        )
        .await;
        run(&mut program, &event(5, "2", "1001", "2031-04-10", "10:00", 30)).await;
    })
    .await;
    let waited = "select current_setting('lock_timeout')";
    assert_eq!(text(&mut program, waited).await, "0", "the EMR's own limits are unchanged");
    locker.execute("rollback").await.unwrap();
    // The next booking applies them first and overlaps none of them.
    let body = serde_json::json!({
        "PatientID": 1003, "ProviderID": 2, "VisitType": "FOLLOWUP", "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30 });
    office.post("/v1/DemoOffice/visits/book", &body).await.expect(201);
    assert_eq!(office.integer("select count(*) from bridge_failures").await, 0);
    assert_eq!(
        office
            .integer("select count(*) from visits where visit_time = '11:00' and visit_date >= '2031-01-01'")
            .await,
        20
    );
    assert_eq!(bridge::check(&office.db).await.unwrap(), Vec::new());
    // If even recording the missed change fails, the comparison finds it.
    let all = "do $$ declare it text; begin for it in select tablename from pg_tables where schemaname = \
        'partner_api' loop
        execute format('lock table partner_api.%I', it); end loop; end $$";
    run(&mut locker, "begin").await;
    run(&mut locker, all).await;
    ends("the EMR's write", run(&mut program, &event(5, "2", "1001", "2031-05-10", "10:00", 30))).await;
    run(&mut locker, "rollback").await;
    let found = bridge::check(&office.db).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].finding, "event: missing");
    bridge::load(&office.db, false, |_| true).await.unwrap();
    assert_eq!(bridge::check(&office.db).await.unwrap(), Vec::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_change_in_the_emr_is_not_delayed_and_is_applied_afterwards() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    // Each of our rows takes 10 ms, so all would take a minute.
    run_sql(
        db,
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.01); \
        return new; end $$;
        create trigger slow before insert on visits for each row execute function slow()",
    )
    .await;
    run(
        &mut emr,
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
        pc_duration, \"pc_startTime\")
        select 5, 2, 1001, date '2028-01-01' + n, 1800, '10:00' from generate_series(1, 6000) n",
    )
    .await;
    let noted = office.integer("select count(*) from bridge_failures").await;
    assert!(noted > 4_000, "{noted} were left for later");
    run_sql(db, "drop function slow() cascade").await;
    assert_eq!(bridge::catch_up(db, || true).await.unwrap(), noted);
    clean(&office).await;
}
