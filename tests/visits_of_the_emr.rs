//! Visits that the EMR's own programs write take place at the time in their local columns.

use std::fmt::Write as _;

use jiff::{Timestamp, civil::date};
use serde_json::{Value, json};
use shared::domain::{schedule, zones};

use crate::office::{Office, on_both_databases};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

/// Inserts a visit of provider 1 with only the columns that an EMR knows; returns its id.
async fn insert(office: &Office, patient: i64, date: &str, time: &str, minutes: i64) -> i64 {
    office
        .sql(&format!(
            "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, visit_duration)
             values ({patient}, 1, 'FOLLOWUP', {date}, {time}, {minutes})"
        ))
        .await;
    office.integer("select max(visit_id) from visits").await
}

/// The same, with an id that the EMR chose.
fn visit(id: i64, patient: i64, date: &str, time: &str, minutes: i64) -> String {
    format!(
        "insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
            visit_duration)
         values ({id}, {patient}, 1, 'FOLLOWUP', {date}, {time}, {minutes});"
    )
}

async fn reason(office: &Office, date: &str, time: &str) -> Value {
    let reply = office.get(&format!("{PROVIDER}/check?date={date}&time={time}&duration=30")).await;
    reply.expect(200)["data"]["Reason"].clone()
}

async fn book(office: &Office, patient: i64, date: &str, time: &str) -> u16 {
    let body = json!({ "PatientID": patient, "ProviderID": 1, "VisitType": "FOLLOWUP", "VisitDate": date,
        "VisitTime": time, "VisitDuration": 30 });
    office.post("/v1/DemoOffice/visits/book", &body).await.status.as_u16()
}

/// Returns seconds since midnight in New York, 2026-03-10.
async fn starts(office: &Office, id: i64) -> Vec<i64> {
    let mut seconds = Vec::new();
    for column in ["starts_at", "ends_at", "provider_starts_at", "provider_ends_at"] {
        let column = format!("select {column} - 1773115200 from visits where visit_id = {id}");
        seconds.push(office.integer(&column).await);
    }
    seconds
}

async fn a_visit_inserted_by_the_emr_makes_its_time_busy(office: Office) {
    let office: Office = office;
    let id = insert(&office, 1001, "'2026-03-10'", "'10:00:00'", 30).await;
    assert_eq!(starts(&office, id).await, [36_000, 37_800, 36_000, 37_800]);
    assert_eq!(reason(&office, "2026-03-10", "10:15").await, "BOOKED");
    assert_eq!(reason(&office, "2026-03-10", "10:30").await, Value::Null);
    assert_eq!(book(&office, 1002, "2026-03-10", "10:15").await, 409);
    assert_eq!(book(&office, 1002, "2026-03-10", "10:30").await, 201);
    let reply = office.get(&format!("/v1/DemoOffice/visits/{id}")).await;
    let data = &reply.expect(200)["data"];
    assert_eq!((&data["VisitDate"], &data["VisitTime"]), (&json!("2026-03-10"), &json!("10:00:00")));
    assert_eq!((&data["ProviderTime"], &data["ProviderDuration"]), (&json!("10:00:00"), &json!(30)));
    assert_eq!((&data["Status"], data["CreatedAt"].is_string()), (&json!("Scheduled"), true));
    let taken = visit(900, 1003, "'2026-03-10'", "'10:29:00'", 10);
    office.try_sql(&taken).await.expect_err("the database itself refuses it");
    assert_eq!(office.integer("select count(*) from visits where visit_id = 900").await, 0);
}
on_both_databases!(a_visit_inserted_by_the_emr_makes_its_time_busy);

async fn a_visit_moved_by_its_local_columns_frees_its_old_time_and_blocks_the_new(office: Office) {
    let office: Office = office;
    let id = insert(&office, 1001, "'2026-03-10'", "'10:00:00'", 30).await;
    let update =
        async |set: &str| office.try_sql(&format!("update visits set {set} where visit_id = {id}")).await;
    update("visit_time = '14:00:00'").await.unwrap();
    assert_eq!(
        starts(&office, id).await,
        [50_400, 52_200, 50_400, 52_200],
        "the provider moves with the visit"
    );
    assert_eq!(reason(&office, "2026-03-10", "14:00").await, "BOOKED");
    assert_eq!(book(&office, 1002, "2026-03-10", "14:00").await, 409);
    assert_eq!(book(&office, 1002, "2026-03-10", "10:00").await, 201);
    update("visit_time = '10:15:00'").await.expect_err("the database itself refuses it");
    assert_eq!(starts(&office, id).await[0], 50_400);
    update("visit_duration = 60").await.unwrap();
    assert_eq!(starts(&office, id).await, [50_400, 54_000, 50_400, 54_000]);
    update("visit_date = '2026-03-11'").await.unwrap();
    assert_eq!(starts(&office, id).await[0], 50_400 + 86_400);
    assert_eq!(reason(&office, "2026-03-10", "14:00").await, Value::Null);
    update("starts_at = 7, ends_at = 9, provider_starts_at = 7, provider_ends_at = 9").await.unwrap();
    assert_eq!(starts(&office, id).await[0], 50_400 + 86_400, "the database corrects it");
    // Canceled visits can be moved anywhere, but block again when they are reactivated.
    update("status = 'Cancelled', visit_date = '2026-03-10', visit_time = '10:00:00'").await.unwrap();
    update("status = 'Scheduled'").await.expect_err("the time is taken");
    update("provider_id = 2, status = 'Scheduled'").await.unwrap();
    update("provider_id = 1").await.expect_err("the time is taken");
}
on_both_databases!(a_visit_moved_by_its_local_columns_frees_its_old_time_and_blocks_the_new);

async fn the_provider_attends_the_given_part_or_the_whole_visit(office: Office) {
    let office: Office = office;
    let id = insert(&office, 1001, "'2026-03-10'", "'23:30:00'", 60).await;
    for (part, expected) in [
        ("provider_time = '23:45:00', provider_duration = 10", [85_500, 86_100]),
        // On the visit's second day.
        ("provider_time = '00:10:00', provider_duration = 20", [87_000, 88_200]),
        ("provider_time = '12:00:00', provider_duration = 20", [84_600, 88_200]),
        ("provider_time = null, provider_duration = null", [84_600, 88_200]),
    ] {
        office.sql(&format!("update visits set {part} where visit_id = {id}")).await;
        assert_eq!(starts(&office, id).await[2..], expected, "{part}");
    }
    let reply = office.post(&format!("/v1/DemoOffice/visits/{id}/reschedule"),
        &json!({
            "VisitDate": "2026-03-11", "VisitTime": "10:00", "ProviderTime": "10:10", "ProviderDuration": 10,
        })).await;
    let data = &reply.expect(200)["data"];
    assert_eq!((&data["ProviderTime"], &data["ProviderDuration"]), (&json!("10:10:00"), &json!(10)));
    // Explicit provider times count even if they equal those of the previous visit.
    let body = json!({ "VisitDate": "2026-03-11", "VisitTime": "14:00", "VisitDuration": 30 });
    office.post(&format!("/v1/DemoOffice/visits/{id}/reschedule"), &body).await.expect(200);
    let body = json!({
        "VisitDate": "2026-03-11", "VisitTime": "13:45", "VisitDuration": 60, "ProviderTime": "14:00",
        "ProviderDuration": 30 });
    let reply = office.post(&format!("/v1/DemoOffice/visits/{id}/reschedule"), &body).await;
    assert_eq!(reply.expect(200)["data"]["ProviderTime"], "14:00:00");
}
on_both_databases!(the_provider_attends_the_given_part_or_the_whole_visit);

async fn local_times_become_instants_by_the_compiled_zone_rules(office: Office) {
    let office: Office = office;
    let zone = zones::get("America/New_York").unwrap();
    let mut rows = String::new();
    let mut expected = Vec::new();
    for day in [date(2026, 3, 8), date(2026, 11, 1)] {
        for quarter in 0..96_i8 {
            let time = jiff::civil::time(quarter / 4, quarter % 4 * 15, 0, 0);
            let first = schedule::instant(&zone, day, time);
            // A skipped time moves forward by the gap.
            let gap = || {
                (day.at(0, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp().as_second())
                    + i64::from(quarter) * 900
            };
            expected.push(first.unwrap_or_else(gap));
            let id = expected.len();
            let _ = write!(
                rows,
                "insert into visits (visit_id, patient_id, provider_id, visit_type, \
                visit_date, visit_time,
                visit_duration, status) values ({id}, 1001, 1, 'FOLLOWUP', '{day}', '{time}', 1, \
                'Cancelled');"
            );
        }
    }
    office.sql(&rows).await;
    for (number, expected) in expected.into_iter().enumerate() {
        let id = number + 1;
        let found = office.integer(&format!("select starts_at from visits where visit_id = {id}")).await;
        assert_eq!(found, expected, "visit {id}");
    }
}
on_both_databases!(local_times_become_instants_by_the_compiled_zone_rules);

/// Legal column values of an engine, and their meaning.
///
/// Date, time, and the minutes from midnight of 2026-03-10 that the visit occupies, if any.
type TimeCase = (&'static str, &'static str, Option<(i64, i64)>);

/// The date names a day, but it is ambiguous.
const EVERY_DAY: Option<(i64, i64)> = Some((-100_000, 100_000));

const OF_BOTH: &[TimeCase] = &[
    ("'2026-03-10'", "'09:00'", Some((540, 570))),
    ("'2026-03-10'", "'24:00:00'", Some((1440, 1470))),
    ("'2026-03-10'", "'00:00:00'", Some((0, 30))),
    ("'2026-03-10'", "'09:00:00.75'", Some((540, 570))),
];
const OF_POSTGRES: &[TimeCase] = &[
    ("'infinity'", "'10:00'", None),
    ("'-infinity'", "'10:00'", None),
    ("'5874897-12-31'", "'24:00'", None),
    ("'4713-01-01 BC'", "'10:00'", None),
];
const OF_SQLITE: &[TimeCase] = &[
    ("'2026-03-10' || char(9)", "'09:00' || char(10)", Some((540, 570))),
    ("char(13) || char(10) || '2026-03-10'", "'09:00'", Some((540, 570))),
    ("'2026-03-10' || char(160)", "'09:00'", Some((540, 570))),
    ("'2026-03-10 (moved)'", "'09:00'", Some((540, 570))),
    ("1773100800", "'09:00'", Some((540, 570))),
    ("'1773100800000'", "'09:00'", Some((540, 570))),
    ("2461109.5", "'09:00'", Some((540, 570))),
    ("'2026-03-10'", "'9:00'", Some((540, 570))),
    ("'2026-3-10'", "'9:00 pm'", Some((1260, 1290))),
    ("'2026/03/10'", "'12:00AM'", Some((0, 30))),
    ("'20260310'", "' 12:30 PM '", Some((750, 780))),
    ("'2026-03-10 00:00:00'", "'1899-12-30 09:00:00'", Some((540, 570))),
    ("'2026-03-10T08:00'", "'09:00:00'", Some((540, 570))),
    ("x'323032362d30332d3130'", "x'30393a3030'", Some((540, 570))),
    // Without a time, the visit occupies its day.
    ("'2026-03-10'", "'soon'", Some((0, 1440))),
    ("'2026-03-10'", "''", Some((0, 1440))),
    ("'2026-03-10'", "'25:00'", Some((0, 1440))),
    ("'2026-03-10'", "'24:01'", Some((0, 1440))),
    ("'2026-03-10'", "9.5", Some((0, 1440))),
    ("'2026-03-10'", "'13:00 PM'", Some((0, 1440))),
    ("'3/10/2026'", "'09:00'", Some((540, 570))),
    ("'03/10/2026 00:00:00'", "'09:00'", Some((540, 570))),
    ("'3-10-2026 (moved)'", "'09:00'", Some((540, 570))),
    ("'2026-02-30'", "'10:00'", EVERY_DAY),
    ("'30/3/2026'", "'10:00'", EVERY_DAY),
    ("'10.03.2026'", "'10:00'", EVERY_DAY),
    ("'Mar 10, 2026'", "'10:00'", EVERY_DAY),
    ("'46091'", "'10:00'", EVERY_DAY),
    ("'260310'", "'10:00'", EVERY_DAY),
    ("'0000-03-10'", "'10:00'", EVERY_DAY),
    ("'-2026-03-10'", "'10:00'", EVERY_DAY),
    ("char(0) || '2026-03-10'", "'10:00'", EVERY_DAY),
    ("'٢٠٢٦-٠٣-١٠'", "'10:00'", EVERY_DAY),
    ("x'ff00'", "x'ff'", EVERY_DAY),
    ("20260310.0", "'09:00'", Some((540, 570))),
    ("'20260310 10:00'", "'09:00'", Some((540, 570))),
    // Without a date, the visit occupies no time.
    ("'infinity'", "'10:00'", None),
    ("'0000-00-00'", "'10:00'", None),
    ("'now'", "'10:00'", None),
    // A Julian day begins at noon.
    ("2461110", "'10:00'", Some((600, 630))),
    ("''", "''", None),
    ("'soon'", "''", None),
];

async fn a_visit_with_odd_column_values_blocks_its_time_and_can_be_changed(office: Office) {
    let office: Office = office;
    office
        .sql(
            "insert into working_hours (provider_id, weekday, start_time, end_time) values
        (1, 2, '00:00:00', '00:00:00'), (1, 3, '00:00:00', '09:00:00')",
        )
        .await;
    let own = if office.is_postgres().await { OF_POSTGRES } else { OF_SQLITE };
    for (date, time, blocks) in OF_BOTH.iter().chain(own) {
        let what = format!("{date} {time}");
        let id = insert(&office, 1001, date, time, 30).await;
        let path = format!("/v1/DemoOffice/visits/{id}");
        let data = office.get(&path).await.expect(200)["data"].clone();
        assert_eq!(data["VisitDuration"], 30, "{what}");
        for minute in (0..1470).step_by(15) {
            let at = Timestamp::from_second(1_773_115_200 + minute * 60).unwrap();
            let local = at.to_zoned(zones::get("America/New_York").unwrap());
            let found =
                reason(&office, &local.date().to_string(), &local.time().strftime("%H:%M").to_string()).await;
            let taken = blocks.is_some_and(|(from, to)| minute < to && minute + 30 > from);
            assert_eq!(found == "BOOKED", taken, "{what} at minute {minute}: {found}");
        }
        office.get(&format!("{PROVIDER}/schedule?startDate=2026-03-09")).await.expect(200);
        if blocks == &EVERY_DAY {
            assert_eq!(book(&office, 1002, "2026-03-10", "09:10").await, 409, "{what}");
            office.sql("update visits set status = 'Completed'").await;
            assert_ne!(reason(&office, "2026-03-10", "09:00").await, "BOOKED", "{what}");
            office.sql("update visits set status = 'Scheduled'").await;
        } else if blocks.is_some() {
            let schedule = office.get(&format!("{PROVIDER}/schedule?startDate=2026-03-09")).await;
            assert_eq!(schedule.expect(200)["data"]["totalVisits"], 1, "{what}");
            assert_eq!(
                book(&office, 1002, "2026-03-10", if *time == "'24:00:00'" { "23:45" } else { "09:10" })
                    .await,
                if blocks.is_some_and(|(from, to)| (from < 580 && to > 550) || from == 1440) {
                    409
                } else {
                    201
                },
                "{what}"
            );
            office.sql("delete from visits where patient_id = 1002").await;
        }
        // The EMR's own programs can still use the day.
        if [Some((0, 1440)), EVERY_DAY, None].contains(blocks) {
            assert_eq!(data["VisitTime"], Value::Null, "{what}");
            // A year outside the API's calendar is still a valid date to the database.
            if !date.contains("5874897") && !date.contains("BC") {
                office.sql(&visit(9001, 1002, date, time, 30)).await;
            }
            office.sql(&visit(9002, 1003, "'2026-03-10'", "'10:00'", 30)).await;
            office.sql(&format!("delete from visits where visit_id <> {id}")).await;
        }
        let to = json!({ "VisitDate": "2026-03-12", "VisitTime": "10:00" });
        let moved = office.post(&format!("{path}/reschedule"), &to).await;
        assert_eq!(moved.expect(200)["data"]["VisitDate"], "2026-03-12", "{what}");
        let back =
            format!("update visits set visit_date = {date}, visit_time = {time} where visit_id = {id}");
        office.sql(&back).await;
        office.post(&format!("{path}/cancel"), &json!({})).await.expect(200);
        assert_eq!(office.get(&path).await.expect(200)["data"]["Status"], "Cancelled");
        office.sql(&format!("update visits set status = 'Deleted' where visit_id = {id}")).await;
        office.sql(&format!("delete from visits where visit_id = {id}")).await;
    }
}
on_both_databases!(a_visit_with_odd_column_values_blocks_its_time_and_can_be_changed);

/// Covers every column in the schema, including future ones.
async fn no_value_in_a_visits_column_makes_an_endpoint_fail(office: Office) {
    let office: Office = office;
    let is_postgres = office.is_postgres().await;
    let columns = columns(&office).await;
    assert!(columns.len() > 20, "{columns:?}");
    let values = [
        "null",
        "'infinity'",
        "'-infinity'",
        "'24:00:00'",
        "'9:00'",
        "''",
        "'é'",
        "0",
        "-1",
        "1440",
        "30.5",
        "1e300",
        "'2026-11-01 10:00:00'",
        "'2026-03-10'",
        "'Completed'",
        "x'ff00'",
        "true",
        "9223372036854775807",
    ];
    let mut written = 0;
    for column in columns {
        for value in values {
            let id = insert(&office, 1001, "'2026-03-10'", "'10:00:00'", 30).await;
            let set = format!("update visits set {column} = {value} where visit_id = {id}");
            written += usize::from(office.try_sql(&set).await.is_ok());
            let id = office.integer("select max(visit_id) from visits").await;
            for path in [
                format!("/v1/DemoOffice/visits/{id}"),
                format!("{PROVIDER}/schedule?startDate=2026-03-09"),
                format!("{PROVIDER}/slots?date=2026-03-10&duration=30&visitType=Consult"),
                format!("{PROVIDER}/next-slot?duration=30"),
            ] {
                let status = office.get(&path).await.status.as_u16();
                assert!(status < 500, "{set}: {path} {status}");
            }
            let path = format!("/v1/DemoOffice/visits/{id}");
            let to = json!({ "VisitDate": "2026-03-12", "VisitTime": "11:00" });
            for (action, body) in [("reschedule", to), ("cancel", json!({}))] {
                let status = office.post(&format!("{path}/{action}"), &body).await.status.as_u16();
                assert!(status < 500, "{set}: {action} {status}");
            }
            office.sql("delete from visits").await;
        }
    }
    assert!(written > if is_postgres { 60 } else { 120 }, "{written}");
}
on_both_databases!(no_value_in_a_visits_column_makes_an_endpoint_fail);

/// Returns the names of the columns of `visits`.
async fn columns(office: &Office) -> Vec<String> {
    let mut conn = office.db.connection().await.unwrap();
    let names = match &mut conn {
        shared::sql::Conn::Sqlite(c) => {
            sqlx::query_scalar("select name from pragma_table_info('visits')").fetch_all(&mut **c).await
        }
        shared::sql::Conn::Postgres(c) => {
            let columns =
                "select column_name::text from information_schema.columns where table_name = 'visits'";
            sqlx::query_scalar(columns).fetch_all(&mut **c).await
        }
    };
    names.unwrap()
}

#[tokio::test]
async fn an_emr_with_recursive_triggers_can_write_visits() {
    let office = Office::open(crate::office::Engine::Sqlite).await;
    let recursive = |sql: &str| format!("pragma recursive_triggers = on; {sql}");
    office.sql(&recursive(&visit(1, 1001, "'2026-03-10'", "'10:00'", 30))).await;
    office.sql(&recursive("update visits set visit_time = '11:00', starts_at = 3")).await;
    assert_eq!(starts(&office, 1).await, [39_600, 41_400, 39_600, 41_400]);
    office.try_sql(&recursive(&visit(2, 1002, "'2026-03-10'", "'11:15'", 30))).await.unwrap_err();
    office
        .sql(&recursive(
            "insert or replace into visits (visit_id, patient_id, provider_id, visit_type, visit_date,
        visit_time, visit_duration) values (1, 1001, 1, 'FOLLOWUP', '2026-03-10', '12:00', 30)",
        ))
        .await;
    assert_eq!(starts(&office, 1).await[0], 43_200);
}

/// The EMR's role has no rights to the `zone_offsets` table, and another search path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_only_role_can_write_visits() {
    let office = Office::open(crate::office::Engine::Postgres).await;
    let role = format!("emr_of_visits_{}", std::process::id());
    let schema = "(select relnamespace::regnamespace::text from pg_class where oid = 'visits'::regclass)";
    office
        .sql(&format!(
            "create role {role};
             do $$ begin execute 'grant usage on schema ' || {schema} || ' to {role}'; end $$;
             grant insert, select, update on visits to {role};
             do $$ declare home text := {schema}; begin
                 set local role {role};
                 set local search_path = pg_catalog;
                 create temp table zone_offsets (local_from bigint, utc_offset bigint, repeats_from bigint);
                 execute 'insert into ' || home || \
                 '.visits (visit_id, patient_id, provider_id, visit_type, visit_date,
                     visit_time, visit_duration) values (1, 1001, 1, ''FOLLOWUP'', ''2026-03-10'', \
                     ''10:00'', 30)';
                 execute 'update ' || home || '.visits set visit_time = ''11:00''';
                 reset role;
             end $$;
             drop owned by {role};
             drop role {role};"
        ))
        .await;
    assert_eq!(starts(&office, 1).await, [39_600, 41_400, 39_600, 41_400]);
}

async fn a_visit_with_an_unreadable_date_is_reported_to_administrators(office: Office) {
    let date = if office.is_postgres().await { "'infinity'" } else { "'Mar 10, 2026'" };
    let id = insert(&office, 1001, date, "'10:00'", 30).await;
    reason(&office, "2026-03-10", "09:00").await;
    office.app.flush().await;
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    let told = &monitor.expect(200)["dataProblems"][0];
    assert_eq!((&told["table"], &told["lastId"]), (&json!("visits"), &json!(id.to_string())));
}
on_both_databases!(a_visit_with_an_unreadable_date_is_reported_to_administrators);
