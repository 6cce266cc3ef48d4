//! Practices whose EMR is on `MariaDB`. They need `tests/postgres tests/mariadb` and
//! `TEST_ATTACHED=mariadb`.

mod behind;
mod broken_values;
mod changes;
mod first;
mod ids;
mod line;
mod many;
mod orphans;
mod outages;
mod partners;
mod repairs;
mod series;
mod survival;
mod waits;
mod work;

use serde_json::{Value, json};
use shared::tenant::bridge::{self, Finding};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::office::{Engine, Office, mariadb};

const BOOK: &str = "/v1/DemoOffice/visits/book";
const CHECK: &str = "/v1/DemoOffice/availability/providers/1/check?date=2026-03-10&duration=15&time=";

/// An office whose `DemoOffice` is attached, and the name of its EMR's database.
async fn attached() -> (Office, String) {
    let office = Office::open(Engine::Postgres).await;
    let emr = mariadb::database_of(&office.db).await.unwrap();
    (office, emr)
}

/// A session of our role, like the API's.
async fn session(office: &Office) -> PgConnection {
    let options: PgConnectOptions = office.dsn().parse().unwrap();
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    session.execute("set search_path = partner_api").await.unwrap();
    session
}

async fn one(session: &mut PgConnection, query: &str) -> String {
    let query = AssertSqlSafe(format!("select coalesce((({query}))::text, '')"));
    sqlx::query_scalar(query).fetch_one(session).await.unwrap()
}

fn visit(patient: i64, time: &str) -> Value {
    json!({
        "PatientID": patient, "ProviderID": 1, "VisitType": "FOLLOWUP", "VisitDate": "2026-03-10",
            "VisitTime": time, "VisitDuration": 30,
    })
}

async fn book(office: &Office, patient: i64, time: &str) -> (u16, String) {
    let reply = office.post(BOOK, &visit(patient, time)).await;
    let status = reply.status.as_u16();
    let body = reply.expect(status);
    let code = if status == 409 { &body["conflicts"][0]["code"] } else { &body["code"] };
    (status, code.as_str().unwrap_or_default().to_owned())
}

fn event(category: i64, provider: &str, patient: &str, date: &str, time: &str, minutes: i64) -> String {
    format!(
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, pc_eventDate, pc_duration, \
            pc_startTime)
         values ({category}, '{provider}', '{patient}', '{date}', {minutes} * 60, '{time}');"
    )
}

async fn reason(office: &Office, time: &str) -> Value {
    office.get(&format!("{CHECK}{time}")).await.expect(200)["data"]["Reason"].clone()
}

async fn clean(office: &Office) {
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(bridge::check(&office.db).await.unwrap(), Vec::<Finding>::new());
}

const EVENTS: &str = "select concat_ws(' ', pc_catid, pc_aid, pc_pid, pc_eventDate, pc_startTime, \
    pc_endTime, pc_duration, pc_apptstatus, pc_room,
    pc_hometext) from openemr_postcalendar_events order by pc_eid";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn api_writes_reach_the_emr_under_the_ids_of_the_emr() {
    let (office, emr) = attached().await;
    mariadb::run(&emr, "alter table openemr_postcalendar_events auto_increment = 4712");
    let body = json!({
        "PatientID": 1001, "ProviderID": 1, "VisitType": "Consult", "VisitDate": "2026-03-10",
        "VisitTime": "10:00",
        "VisitDuration": 30, "VisitComplaint": "Rash ü" });
    assert_eq!(office.post(BOOK, &body).await.expect(201)["data"]["VisitID"], 4712);
    assert_eq!(mariadb::run(&emr, EVENTS), "5 1 1001 2026-03-10 10:00:00 10:30:00 1800 - r1 Rash ü");
    let to = json!({ "VisitDate": "2026-03-11", "VisitTime": "11:00" });
    office.post("/v1/DemoOffice/visits/4712/reschedule", &to).await.expect(200);
    assert_eq!(mariadb::run(&emr, EVENTS), "5 1 1001 2026-03-11 11:00:00 11:30:00 1800 - r1 Rash ü");
    office.post("/v1/DemoOffice/visits/4712/cancel", &json!({})).await.expect(200);
    assert_eq!(mariadb::run(&emr, EVENTS), "5 1 1001 2026-03-11 11:00:00 11:30:00 1800 x r1 Rash ü");

    let new = json!({
        "FirstName": "Zoë", "LastName": "Quist", "EMail": "zoe@example.com", "CellPhone": "555-0199",
    });
    let made = office.post("/v1/DemoOffice/prospects", &new).await;
    assert_eq!(made.expect(201)["data"]["PatientID"], 1004, "the EMR's next number");
    let patient = "select concat_ws('|', fname, lname, email, phone_cell) from patient_data where pid = 1004";
    assert_eq!(mariadb::run(&emr, patient), "Zoë|Quist|zoe@example.com|555-0199");
    let change = json!({ "LastName": "Quest", "EMail": null });
    office.put("/v1/DemoOffice/prospects/1004", &change).await.expect(200);
    assert_eq!(mariadb::run(&emr, patient), "Zoë|Quest||555-0199");
    assert_eq!(
        mariadb::run(&emr, "select group_concat(comments) from log where comments = 1004"),
        "1004",
        "the EMR's own trigger"
    );
    // Our own writes do not count as changes by the EMR, and leave no rows once acknowledged.
    clean(&office).await;
    clean(&office).await;
    assert_eq!(office.integer("select count(*) from log where request_id is null").await, 0);
    let left = "select (select count(*) from partner_api_outbox) + (select count(*) from partner_api_visits) \
        + (select count(*) from partner_api_patients)";
    assert_eq!(mariadb::run(&emr, left), "0");
    assert_eq!(office.integer("select count(*) from bridge_tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn emr_writes_are_known_before_a_booking_and_after_a_poll() {
    let (office, emr) = attached().await;
    assert_eq!(
        mariadb::run(
            &emr,
            &format!("{} select last_insert_id()", event(5, "1", "1001", "2026-03-10", "10:00", 30))
        ),
        "1"
    );
    assert_eq!(book(&office, 1002, "10:15").await, (409, "PROVIDER_CONFLICT".to_owned()));
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(reason(&office, "10:15").await, "BOOKED");
    // Staff book a second visit over it; both occupy time.
    mariadb::run(&emr, &event(5, "1", "1002", "2026-03-10", "10:15", 30));
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(reason(&office, "10:30").await, "BOOKED");
    assert_eq!(office.integer("select count(*) from visits where not bound").await, 1);
    for (code, taken) in [("x", false), ("-", true), ("?", false), ("@", true), ("%", false), (">", true)] {
        mariadb::run(
            &emr,
            &format!("update openemr_postcalendar_events set pc_apptstatus = '{code}' where pc_pid = '1002'"),
        );
        bridge::pull(&office.db).await.unwrap();
        assert_eq!(reason(&office, "10:30").await == "BOOKED", taken, "{code}");
    }
    mariadb::run(&emr, "delete from openemr_postcalendar_events where pc_pid = '1002'");
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(book(&office, 1003, "10:30").await.0, 201);

    // Blocks of one provider and of the practice; a room; a patient; a provider.
    mariadb::run(
        &emr,
        &format!(
            "{}{}",
            event(8, "1", "", "2026-03-10", "14:00", 60),
            event(2, "1", "", "2026-03-10", "16:00", 60)
        ),
    );
    assert_eq!(
        book(&office, 1003, "14:30").await,
        (409, "PROVIDER_CONFLICT".to_owned()),
        "MariaDB's trigger rejects it"
    );
    bridge::pull(&office.db).await.unwrap();
    assert_eq!(book(&office, 1003, "14:30").await, (409, "OUTSIDE_HOURS".to_owned()));
    assert_eq!(reason(&office, "16:30").await, Value::Null, "the provider is present");
    mariadb::run(
        &emr,
        "insert into list_options (list_id, option_id, title) values ('patient_flow_board_rooms', 'r3', \
            'Room 3'), ('language', 'fr', 'French');
        update patient_data set lname = 'Jonesová', phone_cell = '555-0123' where pid = 1001;
        insert into users (id, fname, lname, authorized) values (9, 'New', 'Doctor', 1)",
    );
    bridge::pull(&office.db).await.unwrap();
    let found = office.get("/v1/DemoOffice/prospects?search=jonesova").await;
    assert_eq!(found.expect(200)["data"][0]["CellPhone"], "555-0123");
    assert_eq!(office.integer("select count(*) from providers where provider_id = 9 and active").await, 1);
    assert_eq!(office.integer("select count(*) from resources where name = 'Room 3' and active").await, 1);
    let news = "select string_agg(table_name || ' ' || action, ', ' order by log_id) from log where \
        request_id is null";
    assert_eq!(
        one(&mut session(&office).await, news).await,
        "visits insert, visits insert, visits update, visits update, visits update, visits update, visits \
            update, visits update, visits delete, patients update"
    );
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn a_write_that_the_emr_rejects_is_reported_and_rolled_back() {
    let (office, emr) = attached().await;
    mariadb::run(
        &emr,
        "alter table patient_data modify lname varchar(20) not null default '', add constraint no_atlantis \
            check (city <> 'Atlantis');
        delimiter //
        create trigger not_then before insert on openemr_postcalendar_events for each row begin
            if new.pc_startTime = '13:30' then signal sqlstate '45000' set message_text = 'not then'; end if;
        end //",
    );
    let refused = (422, "REFUSED_BY_EMR".to_owned());
    assert_eq!(book(&office, 1001, "13:30").await, refused);
    assert_eq!(book(&office, 1001, "13:00").await.0, 201);
    for (name, city) in [("A name that is far too long for this EMR", "Rome"), ("Quist", "Atlantis")] {
        let new = json!({ "FirstName": "Zoe", "LastName": name, "EMail": "zoe@example.com", "City": city });
        assert_eq!(office.post("/v1/DemoOffice/prospects", &new).await.expect(422)["code"], "REFUSED_BY_EMR");
    }
    assert_eq!(office.integer("select count(*) from patients").await, 3);
    clean(&office).await;
    assert_eq!(mariadb::run(&emr, "select count(*) from patient_data"), "3");
}
