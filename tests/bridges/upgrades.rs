//! The EMR's program upgrades its tables as if the bridge did not exist; the check names columns
//! that the bridge misses, and a repair applies the missed changes.

use serde_json::json;
use shared::tenant::{Bridge, bridge};
use sqlx::{AssertSqlSafe, Executor};

use super::{attached, clean, event, run, text};
use crate::office::ends;

const TABLES: [&str; 5] = [
    "users",
    "patient_data",
    "openemr_postcalendar_categories",
    "openemr_postcalendar_events",
    "list_options",
];

/// The columns of an EMR's table.
async fn columns(emr: &mut sqlx::PgConnection, table: &str) -> Vec<String> {
    let names = format!(
        "select string_agg(attname, ',') from pg_attribute where attrelid = 'public.{table}'::regclass and \
            attnum > 0 and not attisdropped"
    );
    text(emr, &names).await.split(',').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_objects_depend_on_no_emr_column() {
    let (_, mut emr) = attached().await;
    // Objects that depend on a column of a table in `public`, if they are ours or are on the EMR's
    // table because of us.
    let ours = "select string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), '; ') from pg_depend d
        join pg_class c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid and c.relnamespace = \
        'public'::regnamespace
        where d.refobjsubid <> 0 and (
            d.classid = 'pg_proc'::regclass and d.objid in (select oid from pg_proc where pronamespace = \
            'partner_api'::regnamespace)
            or d.classid = 'pg_class'::regclass and d.objid in (select oid from pg_class where relnamespace \
            = 'partner_api'::regnamespace)
            or d.classid = 'pg_rewrite'::regclass and d.objid in (
                select r.oid from pg_rewrite r join pg_class v on v.oid = r.ev_class where v.relnamespace = \
                'partner_api'::regnamespace)
            or d.classid = 'pg_trigger'::regclass and d.objid in (
                select t.oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid where p.pronamespace = \
                'partner_api'::regnamespace))";
    assert_eq!(text(&mut emr, ours).await, "");
    let triggers = "select count(*) from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_class c on \
        c.oid = t.tgrelid
        where p.pronamespace = 'partner_api'::regnamespace and c.relnamespace = 'public'::regnamespace";
    assert_eq!(text(&mut emr, triggers).await, "15", "the query sees our triggers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_emr_table_and_column_can_be_changed_and_written() {
    let (_, mut emr) = attached().await;
    run(&mut emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    // The EMR's own trigger reads a column.
    run(&mut emr, "drop trigger patient_data_noted on patient_data").await;
    for table in TABLES {
        for change in [format!("drop table {table}"), format!("alter table {table} rename to elsewhere")] {
            run(&mut emr, &format!("begin; {change}; rollback")).await;
        }
        for column in columns(&mut emr, table).await {
            for change in [
                "rename column {} to elsewhere",
                "drop column {}",
                "alter column {} drop default, alter column {} type text",
            ] {
                // An identity column must be a number.
                if change.contains("type text") && ["id", "pc_eid"].contains(&column.as_str()) {
                    continue;
                }
                let change = change.replace("{}", &format!("\"{column}\""));
                // The EMR's program then writes to the table: each row, with and without a change.
                run(
                    &mut emr,
                    &format!(
                        "begin; alter table {table} {change};
                     do $$ declare it text := (select attname from pg_attribute where attrelid = \
                     'public.{table}'::regclass and attnum > 0
                         and not attisdropped and attidentity = '' limit 1);
                     begin execute format('update public.{table} set %1$I = %1$I', it); execute \
                     'delete from public.{table}'; end $$;
                     rollback"
                    ),
                )
                .await;
            }
        }
    }
    assert_eq!(text(&mut emr, "select count(*) from partner_api.bridge_failures").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compatible_column_type_changes_have_no_effect() {
    let (office, mut emr) = attached().await;
    run(
        &mut emr,
        "alter table openemr_postcalendar_events alter pc_eid type bigint, alter pc_pid type bigint using \
            pc_pid::bigint,
            alter pc_aid type varchar(255), alter \"pc_eventDate\" type timestamp, alter pc_duration type \
            integer,
            alter pc_catid type bigint, alter pc_hometext type varchar(500), alter pc_alldayevent type \
            smallint;
        alter table users alter active drop default, alter active type boolean using active = 1;
        alter table patient_data alter pid type integer, alter \"DOB\" type timestamp, alter fname type text;
        alter table openemr_postcalendar_categories alter pc_catid type bigint, alter pc_cattype type \
        smallint",
    )
    .await;
    clean(&office).await;
    run(&mut emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30)).await;
    run(
        &mut emr,
        "update patient_data set lname = 'Jonesova' where pid = 1001; update users set fname = \
        'Joan' where id = 1",
    )
    .await;
    let visit = json!({
        "PatientID": 1002, "ProviderID": 1, "VisitType": "FOLLOWUP", "VisitDate": "2026-03-10",
        "VisitTime": "10:15",
        "VisitDuration": 30 });
    office.post("/v1/DemoOffice/visits/book", &visit).await.expect(409);
    let later = json!({
        "PatientID": 1002, "ProviderID": 1, "VisitType": "FOLLOWUP", "VisitDate": "2026-03-10",
        "VisitTime": "11:00",
        "VisitDuration": 30 });
    office.post("/v1/DemoOffice/visits/book", &later).await.expect(201);
    assert_eq!(bridge::try_out(&office.db).await.unwrap(), Vec::<String>::new());
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_column_is_named_and_unread_events_block_new_visits() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    for (table, key, gone, back) in [
        (
            "openemr_postcalendar_events",
            "pc_eid",
            "drop column pc_room",
            "add column pc_room varchar(20) not null default ''",
        ),
        (
            "openemr_postcalendar_events",
            "other",
            "rename column pc_eid to other",
            "rename column other to pc_eid",
        ),
        ("openemr_postcalendar_events", "pc_eid", "rename to elsewhere", ""),
    ] {
        run(&mut emr, &format!("alter table {table} {gone}")).await;
        let now = if gone == "rename to elsewhere" { "elsewhere" } else { table };
        run(&mut emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30).replace(table, now)).await;
        run(&mut emr, &format!("update {now} set pc_hometext = 'on' where {key} > 0")).await;
        let found = bridge::check(db).await.unwrap();
        let changed = found.iter().find(|it| it.finding == "the EMR's tables have changed").unwrap();
        assert!(changed.example.as_ref().unwrap().contains("does not exist"), "{found:?}");
        let refused = Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap_err();
        assert!(
            format!("{:?}", std::error::Error::source(&refused)).contains("does not exist"),
            "{refused:?}"
        );
        let visit = json!({
            "PatientID": 1002, "ProviderID": 1, "VisitType": "FOLLOWUP", "VisitDate": "2026-03-10",
            "VisitTime": "10:15", "VisitDuration": 30 });
        let answer = office.post("/v1/DemoOffice/visits/book", &visit).await.status.as_u16();
        assert_eq!(answer, 503, "{gone}");
        if back.is_empty() {
            run(&mut emr, &format!("alter table elsewhere rename to {table}")).await;
        } else {
            run(&mut emr, &format!("alter table {table} {back}")).await;
        }
        Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap();
        bridge::load(db, false, |_| true).await.unwrap();
        clean(&office).await;
        office.post("/v1/DemoOffice/visits/book", &visit).await.expect(409);
        run(&mut emr, &format!("delete from {table}")).await;
    }
}

/// A transaction of the EMR that stays open holds up neither a deployment nor, behind it, the EMR's
/// other programs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewing_or_removing_the_bridge_never_makes_the_emr_wait() {
    let (office, mut emr) = attached().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    let mut other = super::emr(office.dsn()).await;
    run(&mut other, "set lock_timeout = '300ms'").await;
    run(
        &mut emr,
        "begin; update list_options set title = title; update users set fname = fname where id = 1",
    )
    .await;
    bridge.install(&office.db).await.unwrap();
    let db = office.db.clone();
    let removed = tokio::spawn(async move { bridge.remove(&db).await.is_err() });
    for _ in 0..20 {
        run(&mut other, "update patient_data set city = 'Rome' where pid = 1001").await;
        run(&mut other, "update users set lname = 'Jones' where id = 3").await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(removed.await.unwrap(), "it gives up");
    run(&mut emr, "commit").await;
    bridge.remove(&office.db).await.unwrap();
}

/// Somebody reads our tables, such as an administrator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_on_our_tables_delay_a_removal_but_not_the_emr() {
    let (office, mut reader) = attached().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    let mut staff = super::emr(office.dsn()).await;
    run(&mut staff, "set lock_timeout = '300ms'").await;
    for table in ["bridge_rooms", "schedule_exceptions"] {
        run(&mut reader, &format!("begin; select 1 from partner_api.{table}")).await;
        let db = office.db.clone();
        let removed = tokio::spawn(async move { bridge.remove(&db).await.is_err() });
        for _ in 0..20 {
            run(&mut staff, "update patient_data set city = 'Rome' where pid = 1001").await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(removed.await.unwrap(), "it gives up");
        run(&mut reader, "rollback").await;
    }
    run(&mut reader, "begin; select 1 from partner_api.bridge").await;
    ends("the renewal", bridge.install(&office.db)).await.unwrap_err();
    run(&mut reader, "rollback").await;
    clean(&office).await;
    bridge.remove(&office.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_watches_a_recreated_table_again() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    for table in TABLES {
        emr.execute(AssertSqlSafe(format!(
            "alter table {table} rename to old; create table {table} (like old including all); insert into \
                {table} select * from old; drop table old"
        )))
        .await
        .unwrap();
    }
    run(
        &mut emr,
        "insert into openemr_postcalendar_events (pc_eid, pc_catid, pc_aid, pc_pid, \
        \"pc_eventDate\", pc_duration, \"pc_startTime\")
        values (901, 5, '1', '1001', '2026-03-10', 1800, '10:00')",
    )
    .await;
    let found: Vec<_> =
        bridge::check(db).await.unwrap().into_iter().map(|it| (it.finding, it.count)).collect();
    assert!(found.contains(&("EMR table without our triggers".to_owned(), 5)), "{found:?}");
    assert!(found.contains(&("event: missing".to_owned(), 1)), "{found:?}");
    Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap();
    bridge::load(db, false, |_| true).await.unwrap();
    clean(&office).await;
    assert_eq!(bridge::try_out(db).await.unwrap(), Vec::<String>::new());
}
