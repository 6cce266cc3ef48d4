//! Practices that are attached to the database of their EMR.

pub(crate) mod broken_values;
mod care;
mod drift;
mod erasure;
mod loads;
mod many;
mod nightly;
mod operator;
mod races;
mod requirements;
pub(crate) mod series;
mod survival;
mod upgrades;
mod waiting;
mod work;

use serde_json::{Value, json};
use shared::tenant::{
    self, Bridge, TenantDb,
    bridge::{self, Finding},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::office::{Engine, Office, attach, ends, new_database, run_sql};

const PROVIDER: &str = "/v1/DemoOffice/availability/providers/1";

/// Opens a session of the EMR's program.
async fn emr(dsn: &str) -> PgConnection {
    let options: PgConnectOptions = dsn.parse().unwrap();
    PgConnection::connect_with(&options).await.unwrap()
}

async fn run(emr: &mut PgConnection, statements: &str) {
    emr.execute(AssertSqlSafe(statements.to_owned())).await.unwrap();
}

/// Returns the first column of a query's first row, as a text.
async fn text(emr: &mut PgConnection, query: &str) -> String {
    let query = AssertSqlSafe(format!("select coalesce((({query}))::text, '')"));
    sqlx::query_scalar(query).fetch_one(emr).await.unwrap()
}

/// An office whose `DemoOffice` is attached, and its EMR.
async fn attached() -> (Office, PgConnection) {
    let office = Office::open(Engine::Postgres).await;
    if std::env::var_os("TEST_ATTACHED").is_none() {
        attach(&office.db).await;
    }
    let emr = emr(office.dsn()).await;
    (office, emr)
}

fn event(category: i64, provider: &str, patient: &str, date: &str, time: &str, minutes: i64) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", pc_duration, \
            \"pc_startTime\")
         values ({category}, '{provider}', '{patient}', '{date}', {minutes} * 60, '{time}')"
    )
}

async fn reason(office: &Office, time: &str) -> Value {
    let path = format!("{PROVIDER}/check?date=2026-03-10&time={time}&duration=15");
    office.get(&path).await.expect(200)["data"]["Reason"].clone()
}

async fn clean(office: &Office) {
    assert_eq!(bridge::check(&office.db).await.unwrap(), Vec::<Finding>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_writes_reach_the_emr_under_the_ids_of_the_emr() {
    let (office, mut emr) = attached().await;
    run(&mut emr, "select setval(pg_get_serial_sequence('openemr_postcalendar_events', 'pc_eid'), 4711)")
        .await;
    let visit = json!({ "PatientID": 1001, "ProviderID": 1, "VisitType": "Consult", "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30, "VisitComplaint": "Rash" });
    let booked = office.post("/v1/DemoOffice/visits/book", &visit).await;
    assert_eq!(booked.expect(201)["data"]["VisitID"], 4712);
    let event = "select concat_ws(' ', pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \"pc_startTime\", \
        pc_duration, pc_apptstatus, pc_room,
        pc_hometext) from openemr_postcalendar_events where pc_eid = 4712";
    assert_eq!(text(&mut emr, event).await, "5 1 1001 2026-03-10 10:00:00 1800 - r1 Rash");
    let to = json!({ "VisitDate": "2026-03-11", "VisitTime": "11:00" });
    office.post("/v1/DemoOffice/visits/4712/reschedule", &to).await.expect(200);
    assert_eq!(text(&mut emr, event).await, "5 1 1001 2026-03-11 11:00:00 1800 - r1 Rash");
    office.post("/v1/DemoOffice/visits/4712/cancel", &json!({})).await.expect(200);
    assert_eq!(text(&mut emr, event).await, "5 1 1001 2026-03-11 11:00:00 1800 x r1 Rash");

    let new = json!({
        "FirstName": "Zoë", "LastName": "Quist", "EMail": "zoe@example.com", "CellPhone": "555-0199",
    });
    let made = office.post("/v1/DemoOffice/prospects", &new).await;
    assert_eq!(made.expect(201)["data"]["PatientID"], 1005, "the number after the EMR's next one");
    let patient = "select concat_ws('|', fname, lname, email, phone_cell) from patient_data where pid = 1005";
    assert_eq!(text(&mut emr, patient).await, "Zoë|Quist|zoe@example.com|555-0199");
    office
        .put("/v1/DemoOffice/prospects/1005", &json!({ "LastName": "Quest", "EMail": null }))
        .await
        .expect(200);
    assert_eq!(text(&mut emr, patient).await, "Zoë|Quest||555-0199");
    // The EMR's own trigger saw each of them; our own writes do not count as changes by the EMR.
    assert_eq!(
        text(&mut emr, "select string_agg(event, ' ' order by id) from log where comments = '1005'").await,
        "patient-record-insert patient-record-update"
    );
    assert_eq!(office.integer("select count(*) from log where request_id is null").await, 0);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emr_writes_reach_the_api_at_once_and_become_events() {
    let (office, mut emr) = attached().await;
    run(&mut emr, &event(5, "1", "1001", "2026-03-10", "10:00", 30)).await;
    assert_eq!(reason(&office, "10:15").await, "BOOKED");
    // Staff book a second visit over it; both occupy time.
    run(&mut emr, &event(5, "1", "1002", "2026-03-10", "10:15", 30)).await;
    assert_eq!(reason(&office, "10:30").await, "BOOKED");
    assert_eq!(office.integer("select count(*) from visits where not bound").await, 1);
    // A change that keeps its time leaves it unbound; alone at a new time, it is bound.
    run(&mut emr, "update openemr_postcalendar_events set pc_hometext = 'late' where pc_pid = '1002'").await;
    assert_eq!(office.integer("select count(*) from visits where not bound").await, 1);
    run(
        &mut emr,
        "update openemr_postcalendar_events set \"pc_startTime\" = '11:00', pc_room = 'r2' where \
        pc_pid = '1002'",
    )
    .await;
    assert_eq!(office.integer("select count(*) from visits where bound and room_id = 102").await, 1);
    assert_eq!(reason(&office, "10:30").await, Value::Null);
    for (code, taken) in [("x", false), ("-", true), ("?", false), ("@", true), ("%", false), (">", true)] {
        run(
            &mut emr,
            &format!("update openemr_postcalendar_events set pc_apptstatus = '{code}' where pc_pid = '1002'"),
        )
        .await;
        assert_eq!(reason(&office, "11:15").await == "BOOKED", taken, "{code}");
    }
    run(&mut emr, "delete from openemr_postcalendar_events where pc_pid = '1002'").await;
    assert_eq!(reason(&office, "11:15").await, Value::Null);

    // Blocks of one provider and of the practice, and days off.
    run(&mut emr, &event(8, "1", "", "2026-03-10", "14:00", 60)).await;
    run(&mut emr, &event(11, "", "", "2026-03-10", "15:00", 60)).await;
    run(&mut emr, &event(2, "1", "", "2026-03-10", "16:00", 60)).await;
    assert_eq!(reason(&office, "14:30").await, "TIME_OFF");
    assert_eq!(reason(&office, "15:30").await, "TIME_OFF");
    assert_eq!(reason(&office, "16:30").await, Value::Null, "the provider is present");
    run(&mut emr, "delete from openemr_postcalendar_events where pc_catid = 8").await;
    assert_eq!(reason(&office, "14:30").await, Value::Null);

    run(&mut emr, "update patient_data set lname = 'Jonesová', phone_cell = '555-0123' where pid = 1001")
        .await;
    let found = office.get("/v1/DemoOffice/prospects?search=jonesova").await;
    assert_eq!(found.expect(200)["data"][0]["CellPhone"], "555-0123");
    run(&mut emr, "insert into users (id, fname, lname, authorized) values (9, 'New', 'Doctor', 1)").await;
    assert_eq!(office.integer("select count(*) from providers where provider_id = 9 and active").await, 1);
    let news = "select string_agg(table_name || ' ' || action, ', ' order by log_id) from partner_api.log";
    assert_eq!(
        text(&mut emr, news).await,
        "visits insert, visits insert, visits update, visits update, visits update, visits update, \
        visits update, visits update, visits update, visits update, visits delete, patients update"
    );
    clean(&office).await;
}

/// A database with an EMR, and a role of ours in it that has no privileges yet.
async fn with_roles() -> (PgConnection, TenantDb, String, String) {
    let dsn = new_database("bridged").await;
    let (server, _) = dsn.split_once('?').unwrap();
    let (_, name) = server.rsplit_once('/').unwrap();
    let mut owner = emr(&dsn).await;
    run(&mut owner, include_str!("bridges/openemr.sql")).await;
    let role = format!("{name}_ours");
    run(
        &mut owner,
        &format!(
            "create role {role} login; grant create on database {name} to {role}; grant \
        insert on log to {role}"
        ),
    )
    .await;
    let ours = dsn.replace("postgres@", &format!("{role}@"));
    let grant = shared::auth::PracticeGrant::for_operations("Bridged".try_into().unwrap());
    let db = tenant::migrate::migrate(&grant, &ours, "America/New_York", crate::office::NOW.parse().unwrap())
        .await
        .unwrap()
        .db;
    (owner, db, dsn, role)
}

fn dump(dsn: &str) -> String {
    let done = std::process::Command::new("pg_dump").args(["--schema=public", dsn]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // Two lines of each dump contain a key that differs.
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attaching_names_missing_grants_and_detaching_restores_the_emr() {
    let (mut owner, db, dsn, role) = with_roles().await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    assert!(Bridge::of(&db).await.unwrap().is_none());
    let before = dump(&dsn);
    let plan = bridge.plan(&db).await.unwrap();
    assert_eq!(plan.grants.len(), 5, "{plan:?}");
    assert!(
        plan.grants
            .contains(&format!("grant insert, select, trigger, update on public.patient_data to {role}"))
            || plan.grants.iter().any(|it| it.contains("patient_data")),
        "{plan:?}"
    );
    bridge.install(&db).await.unwrap_err();
    assert!(Bridge::of(&db).await.unwrap().is_none(), "a failed attempt leaves nothing");
    for grant in &plan.grants {
        run(&mut owner, grant).await;
    }
    let granted = dump(&dsn);
    let plan = bridge.plan(&db).await.unwrap();
    assert_eq!((plan.grants.len(), plan.patients, plan.events), (0, 3, 0));
    assert!(Bridge::of(&db).await.unwrap().is_none(), "a plan changes nothing");
    run(&mut owner, &event(5, "1", "1001", "2030-03-10", "10:00", 30)).await;
    run(&mut owner, "delete from openemr_postcalendar_events").await;

    bridge.install(&db).await.unwrap();
    bridge.install(&db).await.unwrap();
    let mut told = Vec::new();
    bridge::load(&db, true, |done| {
        told.push(done);
        true
    })
    .await
    .unwrap();
    assert!(!told.is_empty());
    assert_eq!(Bridge::of(&db).await.unwrap().unwrap().name, "openemr-postgresql");
    assert_eq!(bridge::check(&db).await.unwrap(), Vec::new());
    run(&mut owner, &event(5, "1", "1001", "2030-03-10", "10:00", 30)).await;
    assert_eq!(bridge::try_out(&db).await.unwrap(), Vec::<String>::new());
    assert_eq!(
        text(&mut owner, "select count(*) from openemr_postcalendar_events").await,
        "1",
        "a trial is rolled back"
    );
    run(&mut owner, "delete from openemr_postcalendar_events").await;

    bridge.remove(&db).await.unwrap();
    assert!(Bridge::of(&db).await.unwrap().is_none());
    let strip =
        |text: String| text.lines().filter(|line| !line.contains("setval")).collect::<Vec<_>>().join("\n");
    assert_eq!(strip(dump(&dsn)), strip(granted));
    for line in before.lines().filter(|line| !line.contains("setval")) {
        assert!(dump(&dsn).contains(line), "{line}");
    }
    let left = "select count(*) from pg_class where relnamespace = 'partner_api'::regnamespace and (relname \
        like 'bridge%' or relname like 'emr%')";
    assert_eq!(text(&mut owner, left).await, "0");
}

#[tokio::test]
async fn a_sqlite_practice_cannot_have_a_bridge() {
    let office = Office::open(Engine::Sqlite).await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    assert!(Bridge::of(&office.db).await.unwrap().is_none());
    for refused in [bridge.plan(&office.db).await.map(|_| ()), bridge.install(&office.db).await] {
        assert!(refused.unwrap_err().to_string().contains("is an SQLite file"));
    }
    assert!(Bridge::named("nothing").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_never_block_staff_or_double_book() {
    let (office, _) = attached().await;
    let office = std::sync::Arc::new(office);
    let token: std::sync::Arc<str> = office.token("all").await.into();
    let times: Vec<String> = (0..24).map(|at| format!("{:02}:{:02}", 9 + at / 4, at % 4 * 15)).collect();
    let mut all = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (dsn, times) = (office.dsn().to_owned(), times.clone());
        all.spawn(async move {
            let mut emr = emr(&dsn).await;
            for round in 0..60 {
                let time = &times[(round * 7 + writer * 5) % times.len()];
                let day = 10 + (round / 20);
                run(
                    &mut emr,
                    &event(
                        5,
                        &(1 + round % 2).to_string(),
                        &(1001 + writer % 3).to_string(),
                        &format!("2026-03-{day}"),
                        time,
                        15,
                    ),
                )
                .await;
            }
        });
    }
    for caller in 0..4 {
        let (office, token, times) = (office.clone(), token.clone(), times.clone());
        all.spawn(async move {
            for round in 0..40 {
                let body = json!({
                    "PatientID": 1001 + caller % 3, "ProviderID": 1 + round % 2, "VisitType": "FOLLOWUP",
                    "VisitDate": format!("2026-03-{}", 10 + round / 14),
                    "VisitTime": times[(round * 11 + caller * 3) % times.len()],
                    "VisitDuration": 30 });
                let status = office
                    .send(&token, "POST", "/v1/DemoOffice/visits/book", Some(&body))
                    .await
                    .status
                    .as_u16();
                assert!([201, 409].contains(&status), "{status}");
            }
        });
    }
    ends("the race", async {
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
    })
    .await;
    assert_eq!(
        office
            .integer(
                "select count(*) from visits v join public.openemr_postcalendar_events e on \
        e.pc_eid = v.visit_id
        where pc_informant is null"
            )
            .await,
        240,
        "every write of the staff succeeded"
    );
    let bound = "select count(*) from visits a join visits b on b.visit_id > a.visit_id and a.bound and \
        b.bound
        and (a.provider_id = b.provider_id or a.patient_id = b.patient_id) and a.starts_at < b.ends_at and \
        b.starts_at < a.ends_at";
    assert_eq!(office.integer(bound).await, 0);
    // If a caller's visit overlaps one of the staff's, it was there first or was written while the
    // staff's transaction was open.
    assert!(office.integer("select count(*) from visits where not bound").await > 0);
    clean(&office).await;
}

/// Runs as our role, bypassing the bridge's own protection.
async fn sabotage(db: &TenantDb, statements: &str) {
    run_sql(db, statements).await;
}
