//! Values that the EMR rejects, rows that cannot be applied, and rooms.

use serde_json::{Value, json};
use shared::tenant::bridge;

use super::{attached, clean, event, run, sabotage, text};
use crate::office::{Office, run_sql};

pub(super) fn visit(kind: &str, time: &str) -> Value {
    json!({
        "PatientID": 1001, "ProviderID": 1, "VisitType": kind, "VisitDate": "2026-03-10", "VisitTime": time,
            "VisitDuration": 30,
    })
}

pub(super) async fn code(office: &Office, path: &str, body: &Value) -> (u16, Value) {
    let reply = office.post(path, body).await;
    let status = reply.status.as_u16();
    (status, reply.expect(status)["code"].clone())
}

pub(super) const BOOK: &str = "/v1/DemoOffice/visits/book";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visit_types_unknown_to_the_emr_are_not_offered() {
    let (office, mut emr) = attached().await;
    // A program writes it to our table.
    run_sql(
        &office.db,
        "insert into visit_types (visit_type) values ('Ours'); update visit_types set active \
        = true where visit_type = 'Ours';
        insert into visit_type_providers values ('Ours', 1)",
    )
    .await;
    assert_eq!(code(&office, BOOK, &visit("Ours", "10:00")).await, (422, json!("VISIT_TYPE_INACTIVE")));
    clean(&office).await;
    // It is written without the bridge.
    sabotage(
        &office.db,
        "set partner_api.writing = 'emr'; update visit_types set active = true where visit_type = 'Ours'; \
            reset partner_api.writing",
    )
    .await;
    assert_eq!(code(&office, BOOK, &visit("Ours", "10:00")).await, (422, json!("VISIT_TYPE_INACTIVE")));
    // The EMR deleted it, and the bridge could not apply that.
    run_sql(&office.db, "alter table public.openemr_postcalendar_categories disable trigger user").await;
    run(&mut emr, "delete from openemr_postcalendar_categories where pc_catname = 'Consult'").await;
    assert_eq!(code(&office, BOOK, &visit("Consult", "10:00")).await, (422, json!("VISIT_TYPE_INACTIVE")));
    bridge::load(&office.db, false, |_| true).await.unwrap();
    assert_eq!(code(&office, BOOK, &visit("Consult", "10:00")).await, (422, json!("VISIT_TYPE_INACTIVE")));
    // A category without a name is reported and affects nothing else.
    run_sql(&office.db, "alter table public.openemr_postcalendar_categories enable trigger user").await;
    run(
        &mut emr,
        "insert into openemr_postcalendar_categories (pc_catid, pc_catname, pc_cattype) values (77, null, 0)",
    )
    .await;
    run(&mut emr, &event(77, "1", "1001", "2026-03-10", "11:00", 30)).await;
    assert_eq!(
        code(&office, BOOK, &visit("FOLLOWUP", "11:00")).await,
        (409, json!("OUTSIDE_HOURS")),
        "it is time off"
    );
    let found = bridge::check(&office.db).await.unwrap();
    assert_eq!(found[0].finding, "EMR value without a meaning here: category without a name");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_the_emr_rejects_is_reported_and_rolled_back() {
    let (office, mut emr) = attached().await;
    run(
        &mut emr,
        "alter table patient_data add check (1 / (30 / length(lname || ' ')) >= 0), add check (city <> \
            'Atlantis');
        create function not_then() returns trigger language plpgsql as $$ begin
            if new.\"pc_startTime\" = '13:30' then raise exception 'not then'; end if;
            return new;
        end $$;
        create trigger not_then before insert or update on openemr_postcalendar_events for each row execute \
        function not_then()",
    )
    .await;
    let new = |name: &str, city: &str| {
        json!({
            "FirstName": "Zoe", "LastName": name, "EMail": "zoe@example.com", "City": city,
        })
    };
    let refused = (422, json!("REFUSED_BY_EMR"));
    let prospects = "/v1/DemoOffice/prospects";
    assert_eq!(
        code(&office, prospects, &new("A name that is far too long for this EMR", "Rome")).await,
        refused
    );
    assert_eq!(code(&office, prospects, &new("Quist", "Atlantis")).await, refused);
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "13:30")).await, refused);
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "13:00")).await.0, 201);
    let id = office.integer("select max(visit_id) from visits").await;
    let to = json!({ "VisitTime": "13:30", "VisitDate": "2026-03-10" });
    assert_eq!(code(&office, &format!("/v1/DemoOffice/visits/{id}/reschedule"), &to).await, refused);
    let changed = office.put("/v1/DemoOffice/prospects/1002", &json!({ "City": "Atlantis" })).await;
    assert_eq!(changed.expect(422)["code"], "REFUSED_BY_EMR");
    assert_eq!(office.integer("select count(*) from patients").await, 3);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_follow_those_of_the_emr() {
    let (office, mut emr) = attached().await;
    run(
        &mut emr,
        "insert into list_options (list_id, option_id, title) values ('patient_flow_board_rooms', \
        'r3', 'Room 3'), ('language', 'fr', 'French')",
    )
    .await;
    run(
        &mut emr,
        "update list_options set activity = 0, title = 'Old room' where option_id = 'r1'; delete \
        from list_options where option_id = 'r2'",
    )
    .await;
    let rooms = "select string_agg(b.room || ' ' || r.name || ' ' || r.active, ', ' order by b.room)
        from partner_api.resources r join partner_api.bridge_rooms b on b.resource_id = r.resource_id";
    let names = text(&mut emr, rooms).await;
    assert!(
        names.starts_with("r1 Old room false, r2 ") && names.ends_with(" false, r3 Room 3 true"),
        "{names}"
    );
    // Visits that name a room before it is created are in it afterwards.
    run(&mut emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    run(&mut emr, "update openemr_postcalendar_events set pc_room = 'r4'").await;
    assert_eq!(
        bridge::check(&office.db).await.unwrap()[0].finding,
        "EMR value without a meaning here: room does not exist"
    );
    run(&mut emr, "insert into list_options (list_id, option_id) values ('patient_flow_board_rooms', 'r4')")
        .await;
    let there =
        "select count(*) from visits v join bridge_rooms b on b.resource_id = v.room_id where b.room = 'r4'";
    assert_eq!(office.integer(there).await, 1);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_detects_writes_lost_in_both_directions() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    assert_eq!(bridge::try_out(db).await.unwrap(), Vec::<String>::new());
    for (fault, said) in [
        (
            "alter table public.openemr_postcalendar_events disable trigger user",
            "a visit entered in the EMR does not arrive here",
        ),
        (
            "alter table public.patient_data disable trigger user",
            "a patient change in the EMR does not arrive here",
        ),
        (
            "alter table visits disable trigger write_through",
            "a visit booked through the API does not arrive in the EMR",
        ),
        (
            "alter table patients disable trigger write_through",
            "a patient change through the API does not arrive in the EMR",
        ),
        (
            "create or replace function bridge_apply_event(id bigint) returns void language plpgsql as \
                'begin raise division_by_zero; end'",
            "an EMR change was not applied: division_by_zero",
        ),
    ] {
        run_sql(db, fault).await;
        let told = bridge::try_out(db).await.unwrap();
        assert!(told.iter().any(|it| it == said), "{fault}: {told:?}");
        run_sql(
            db,
            "alter table visits enable trigger write_through; alter table patients enable trigger \
            write_through",
        )
        .await;
        shared::tenant::Bridge::of(db).await.unwrap().unwrap().install(db).await.unwrap();
    }
    assert_eq!(bridge::try_out(db).await.unwrap(), Vec::<String>::new());
    assert_eq!(text(&mut emr, "select count(*) from openemr_postcalendar_events").await, "0");
    assert_eq!(office.integer("select count(*) from bridge_failures").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_applies_only_the_failed_changes_around_it() {
    let (office, mut emr) = attached().await;
    let db = &office.db;
    run_sql(db, "alter table visits rename to gone").await;
    run(
        &mut emr,
        "insert into openemr_postcalendar_events (pc_catid, pc_aid, pc_pid, \"pc_eventDate\", \
        pc_duration, \"pc_startTime\")
        select 5, 2, 1001 + n % 2, date '2028-01-01' + n, 1800, '10:00' from generate_series(1, 11000) \
        n",
    )
    .await;
    run(&mut emr, &event(5, "1", "1002", "2026-03-10", "10:00", 30)).await;
    run(&mut emr, &event(8, "1", "", "2026-03-10", "12:00", 60)).await;
    run(&mut emr, &event(11, "", "", "2026-03-10", "15:00", 60)).await;
    run_sql(db, "alter table gone rename to visits").await;
    let noted = "select count(*) from bridge_failures";
    assert_eq!(office.integer(noted).await, 11_003);
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "10:15")).await, (409, json!("PROVIDER_CONFLICT")));
    for time in ["12:30", "11:45", "15:30"] {
        assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", time)).await.0, 409, "{time} is time off");
    }
    assert_eq!(code(&office, BOOK, &visit("FOLLOWUP", "13:00")).await.0, 201);
    assert!(office.integer(noted).await > 10_000, "the poller applies the rest");
    bridge::catch_up(db, || true).await.unwrap();
    assert_eq!(office.integer(noted).await, 0);
    clean(&office).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poller_retries_failed_changes() {
    let (office, mut emr) = attached().await;
    crate::webhooks::sign_up(&office, "https://partner.example.com/hook", &["Encounters"]).await;
    run_sql(&office.db, "alter table visits rename to gone").await;
    run(&mut emr, &event(5, "1", "1002", "2026-03-10", "10:00", 30)).await;
    run_sql(&office.db, "alter table gone rename to visits").await;
    crate::pipeline::poll(&office).await;
    assert_eq!(office.integer("select count(*) from visits where visit_date = '2026-03-10'").await, 1);
    assert_eq!(office.integer("select count(*) from bridge_failures").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_category_renames_the_type_of_its_visits() {
    let (office, mut emr) = attached().await;
    run(&mut emr, &event(5, "1", "1002", "2026-03-10", "10:00", 30)).await;
    run(&mut emr, &event(5, "1", "1002", "2020-03-10", "10:00", 30)).await;
    run(
        &mut emr,
        "update openemr_postcalendar_categories set pc_catname = 'Consultation' where pc_catid = 5",
    )
    .await;
    assert_eq!(office.integer("select count(*) from visits where visit_type = 'Consultation'").await, 2);
    let active = "select count(*) from visit_types where active and visit_type =";
    assert_eq!(office.integer(&format!("{active} 'Consultation'")).await, 1);
    assert_eq!(office.integer(&format!("{active} 'Consult'")).await, 0);
    clean(&office).await;
}
