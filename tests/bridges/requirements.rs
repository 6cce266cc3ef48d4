//! Requirements for attaching, and how the check names missing ones.

use serde_json::json;
use shared::tenant::{Bridge, bridge};

use super::{attached, clean, event, run, sabotage, with_roles};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_rows_that_are_not_the_emrs_is_not_attached() {
    let (mut owner, db, _, _) = with_roles().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    for grant in bridge.plan(&db).await.unwrap().grants {
        run(&mut owner, &grant).await;
    }
    run(&mut owner, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    let patient = |id: i64, first: &str, last: &str| {
        format!(
            "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
            values ({id}, '{first}', '{last}', '{first} {last}', now(), now());"
        )
    };
    let visit = |id: i64, patient: i64, date: &str| {
        format!(
            "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
            visit_duration) values ({id}, {patient}, 1, 'Consult', '{date}', '10:00', 30);"
        )
    };
    // Copies of the EMR's rows, as an earlier bridge leaves them.
    sabotage(
        &db,
        &format!(
            "insert into providers (provider_id, name) values (1, 'Jane'); insert into visit_types \
            (visit_type) values ('Consult'); {} {} {}",
            patient(1001, "Ada", "Jones-Smith"),
            patient(1002, "Ben", "Okafor"),
            visit(1, 1001, "2031-03-10")
        ),
    )
    .await;
    assert_eq!(bridge.plan(&db).await.unwrap().patients, 3);
    for (stranger, number) in [
        (patient(7001, "Nobody", "There"), 1),
        (visit(7001, 1001, "2031-03-11"), 2),
        (visit(2, 1002, "2031-03-12"), 3),
    ] {
        sabotage(&db, &stranger).await;
        let refused = bridge.plan(&db).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("have {number} patients and visits that are not the EMR's")),
            "{refused}"
        );
    }
    // A row with an id of the EMR's that is another person.
    sabotage(
        &db,
        &format!(
            "delete from visits; delete from patients where patient_id > 7000; {}",
            patient(1003, "Other", "Person")
        ),
    )
    .await;
    run(&mut owner, "update patient_data set \"DOB\" = '1990-01-01' where pid = 1003").await;
    let refused = bridge.plan(&db).await.unwrap_err().to_string();
    assert!(refused.contains("have 1 patients and visits"), "{refused}");
    sabotage(&db, "delete from patients where patient_id = 1003").await;
    bridge.install(&db).await.unwrap();
    bridge::load(&db, true, |_| true).await.unwrap();
    assert_eq!(bridge.plan(&db).await.unwrap().patients, 3, "an attached practice has only the EMR's rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_privilege_is_distinguished_from_changed_tables() {
    let (mut owner, db, _, role) = with_roles().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    for grant in bridge.plan(&db).await.unwrap().grants {
        run(&mut owner, &grant).await;
    }
    bridge.install(&db).await.unwrap();
    bridge::load(&db, true, |_| true).await.unwrap();
    assert_eq!(bridge::check(&db).await.unwrap(), Vec::new());
    let tables = ["users", "patient_data", "openemr_postcalendar_categories", "openemr_postcalendar_events"];
    for table in tables.into_iter().chain(["list_options"]) {
        run(&mut owner, &format!("revoke select on {table} from {role}")).await;
        let found = bridge::check(&db).await.unwrap();
        let findings: Vec<_> = found.iter().map(|it| (it.finding.as_str(), it.example.as_deref())).collect();
        let grant = format!("grant select on public.{table} to {role};");
        assert_eq!(findings, [("missing privilege", Some(&*grant))]);
        run(&mut owner, &grant).await;
        assert_eq!(bridge::check(&db).await.unwrap(), Vec::new(), "{table}");
    }
    // All are listed, as statements that can be pasted.
    run(&mut owner, &format!("revoke all on users, patient_data from {role}")).await;
    let found = bridge::check(&db).await.unwrap();
    let missing = found.iter().find(|it| it.finding == "missing privilege").unwrap();
    let statements = missing.example.clone().unwrap();
    assert!(missing.count == 2 && statements.matches(';').count() == 2, "{statements}");
    run(&mut owner, &statements).await;
    bridge.install(&db).await.unwrap();
    assert_eq!(bridge::check(&db).await.unwrap(), Vec::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_finds_privileges_that_the_emrs_own_triggers_need() {
    let (mut owner, db, _, role) = with_roles().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    for grant in bridge.plan(&db).await.unwrap().grants {
        run(&mut owner, &grant).await;
    }
    bridge.install(&db).await.unwrap();
    bridge::load(&db, true, |_| true).await.unwrap();
    run(&mut owner, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    assert_eq!(bridge::try_out(&db).await.unwrap(), Vec::<String>::new());
    // The EMR's trigger on `patient_data` writes to it.
    run(&mut owner, &format!("revoke insert on log from {role}")).await;
    assert_eq!(bridge::check(&db).await.unwrap(), Vec::new(), "the bridge itself does not need it");
    let told = bridge::try_out(&db).await.unwrap();
    assert!(told.iter().any(|it| it.contains("permission denied for table log")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unwritable_emr_tables_return_503_not_500() {
    let (office, mut staff) = attached().await;
    let visit = json!({ "PatientID": 1002, "ProviderID": 1, "VisitType": "FOLLOWUP",
        "VisitDate": "2026-03-10",
        "VisitTime": "10:15", "VisitDuration": 30 });
    let new = json!({ "FirstName": "Zoe", "LastName": "Quist", "EMail": "zoe@example.com" });
    for (table, path, body) in [
        ("openemr_postcalendar_events", "/v1/DemoOffice/visits/book", &visit),
        ("patient_data", "/v1/DemoOffice/prospects", &new),
    ] {
        run(&mut staff, &format!("alter table {table} rename to elsewhere")).await;
        let refused = office.post(path, body).await;
        assert_eq!(refused.status.as_u16(), 503, "{table}: {}", refused.body);
        run(&mut staff, &format!("alter table elsewhere rename to {table}")).await;
        office.post(path, body).await.expect(201);
    }
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_that_exceeds_the_calendar_has_its_representable_days() {
    let (office, mut staff) = attached().await;
    let huge = "s:10:\"9999999999\"";
    let rule = |freq: &str, unit: i64| {
        format!("a:2:{{s:17:\"event_repeat_freq\";{freq};s:22:\"event_repeat_freq_type\";s:1:\"{unit}\";}}")
    };
    let on = |num: &str, day: &str, freq: &str| {
        format!(
            "a:3:{{s:19:\"event_repeat_on_num\";{num};s:19:\"event_repeat_on_day\";{day};s:20:\"event_repeat_on_freq\";{freq};}}"
        )
    };
    let one = "s:1:\"1\"";
    for (kind, rule, days) in [
        (1, rule(huge, 0), 1),
        (1, rule(huge, 1), 1),
        (1, rule(huge, 2), 1),
        (1, rule(huge, 3), 1),
        (1, rule(huge, 4), 1),
        (2, on(one, one, huge), 1),
        (2, on(huge, one, one), 1),
        (2, on(one, huge, one), 1),
        (3, rule(huge, 6), 1),
    ] {
        run(
            &mut staff,
            &format!(
                "delete from openemr_postcalendar_events;
                insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
                pc_duration, \"pc_startTime\", pc_recurrtype, pc_recurrspec)
                values (8, '1', '', date_trunc('month', current_date)::date + 62, 3600, '12:00', {kind}, \
                '{rule}')"
            ),
        )
        .await;
        assert_eq!(office.integer("select count(*) from bridge_failures").await, 0, "{kind} {rule}");
        let off = office.integer("select count(*) from schedule_exceptions").await;
        assert!(off <= days, "{kind} {rule}: {off}");
    }
}
