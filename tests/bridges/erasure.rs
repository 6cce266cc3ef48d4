//! A patient who is erased in the EMR is erased here.

use serde_json::json;

use super::{attached, clean, event, run, text};
use crate::office::run_sql;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_patient_is_left_who_was_erased_in_the_emr() {
    let (office, mut staff) = attached().await;
    let marked = "Zyzzyva";
    let new =
        json!({ "FirstName": marked, "LastName": marked, "EMail": "zyzzyva@example.com", "Notes": marked });
    let made = office.post("/v1/DemoOffice/prospects", &new).await;
    let patient = made.expect(201)["data"]["PatientID"].as_i64().unwrap();
    let visit = json!({ "PatientID": patient, "ProviderID": 1, "VisitType": "FOLLOWUP",
        "VisitDate": "2026-03-10",
        "VisitTime": "10:00", "VisitDuration": 30, "VisitComplaint": marked, "VisitNotes": marked });
    office.post("/v1/DemoOffice/visits/book", &visit).await.expect(201);
    run_sql(
        &office.db,
        &format!(
            "insert into tags (name) values ('of few'); insert into patient_tags (patient_id, tag_id) select \
            {patient}, tag_id from tags where name = 'of few'"
        ),
    )
    .await;
    let places = format!(
        "with found as (
            select t.tablename, (xpath('/row/n/text()', query_to_xml(format(
                'select count(*) as n from partner_api.%I t where to_jsonb(t)::text ilike ''%%{marked}%%''', \
                t.tablename), false, true, '')))[1]::text::bigint as n
            from pg_tables t where t.schemaname = 'partner_api')
        select string_agg(tablename, ' ' order by tablename) from found where n > 0"
    );
    assert_eq!(text(&mut staff, &places).await, "patient_words patients visits");
    // The EMR keeps the event, without the patient and its texts.
    run(
        &mut staff,
        &format!(
            "update openemr_postcalendar_events set pc_hometext = null where pc_pid = '{patient}'; delete \
            from patient_data where pid = {patient}"
        ),
    )
    .await;
    assert_eq!(text(&mut staff, &places).await, "");
    let tags = format!("select count(*) from patient_tags where patient_id = {patient}");
    assert_eq!(office.integer(&tags).await, 0);
    assert_eq!(
        office.integer("select count(*) from schedule_exceptions").await,
        1,
        "its time stays occupied"
    );
    run(&mut staff, &event(5, "2", "1001", "2026-03-10", "10:00", 30)).await;
    clean(&office).await;
}
