//! The EMR's programs choose ids too: our rows get unused ids.

use serde_json::json;

use crate::office::{Office, on_both_databases, run_sql};

const AT: &str = "'2026-03-01T10:00:00Z'";
const LARGEST: i64 = 9_007_199_254_740_991;

/// Adds rows of the EMR with these ids to every table that we add rows to; `ids` is a select with a
/// column `i`.
async fn take(office: &Office, ids: &str) {
    let free = |table: &str, id: &str| format!("from ({ids}) n where i not in (select {id} from {table})");
    office
        .sql(&format!(
            "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
                 select i, 'A', 'B', 'A B', {AT}, {AT} {};
             insert into visits (visit_id, patient_id, provider_id, visit_type, visit_date, visit_time, \
             visit_duration, status)
                 select i, 1001, 1, 'FOLLOWUP', '2026-03-10', '09:00', 30, 'Cancelled' {} and (i < 100 or i \
                 > 10000000);
             insert into tickets (ticket_id, subject, created_at, updated_at) select i, 'S', {AT}, {AT} {};
             insert into ticket_comments (comment_id, ticket_id, comment, author, created_at)
                 select i, (select min(ticket_id) from tickets), 'C', 'A', {AT} {};
             insert into ticket_history (history_id, ticket_id, old_status, new_status, author, changed_at)
                 select i, (select min(ticket_id) from tickets), 'Open', 'Closed', 'A', {AT} {};
             insert into log (log_id, table_name, action, record_id, logged_at) select i, 'claims', \
             'insert', i, {AT} {}",
            free("patients", "patient_id"),
            free("visits", "visit_id"),
            free("tickets", "ticket_id"),
            free("ticket_comments", "comment_id"),
            free("ticket_history", "history_id"),
            free("log", "log_id"),
        ))
        .await;
    let products = format!(
        "insert into products (product_id, vendor_code, product_code, product, created_at, updated_at)
             select i, 'EMR', cast(i as text), 'P', {AT}, {AT} {}",
        free("products", "product_id")
    );
    run_sql(&office.catalog, &products).await;
}

/// Adds one of our rows to each of the tables; returns their ids.
async fn add(office: &Office, patient: i64, time: &str) -> Vec<i64> {
    let person = json!({
        "FirstName": "Ann", "LastName": format!("Own{time}"),
        "EMail": format!("{}@own.example", time.replace(':',
            "")),
    });
    let prospect = office.post("/v1/DemoOffice/prospects", &person).await;
    let prospect = prospect.expect(201)["data"]["PatientID"].as_i64().unwrap();
    let visit = json!({
        "PatientID": patient, "ProviderID": 2, "VisitType": "Consult", "VisitDate": "2026-03-12",
            "VisitTime": time, "VisitDuration": 30,
    });
    let visit = office.post("/v1/DemoOffice/visits/book", &visit).await;
    let visit = visit.expect(201)["data"]["VisitID"].as_i64().unwrap();
    let ticket = office.post("/v1/DemoOffice/tickets", &json!({ "Subject": "Own" })).await;
    let ticket = ticket.expect(201)["data"]["TicketID"].as_i64().unwrap();
    let path = format!("/v1/DemoOffice/ticket/{ticket}");
    let comment = office
        .post(
            &format!("/v1/DemoOffice/tickets/{ticket}/comment"),
            &json!({ "Comment": "Own", "Author": "Kim" }),
        )
        .await;
    let comment = comment.expect(201)["data"]["CommentID"].as_i64().unwrap();
    office.put(&path, &json!({ "Status": "Waiting" })).await.expect(200);
    let products: Vec<_> = (0..3)
        .map(|number| {
            json!({
                "VendorCode": "OWN", "ProductCode": format!("{time} {number}"), "Product": "P",
            })
        })
        .collect();
    let reply = office.post("/v1/products", &json!({ "products": products })).await;
    assert_eq!(reply.expect(200)["data"]["created"], 3);
    vec![prospect, visit, ticket, comment]
}

async fn new_rows_get_unused_ids_even_if_many_are_taken(office: Office) {
    // More than one step examines.
    take(
        &office,
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10050) select i from n",
    )
    .await;
    let first = add(&office, 1001, "10:00:00").await;
    assert!([first[0], first[2], first[3]].iter().all(|id| *id > 10_050), "{first:?}");
    let second = add(&office, 1001, "10:30:00").await;
    assert!(first.iter().zip(&second).all(|(one, two)| one < two), "{first:?} {second:?}");
    // The next ids.
    let next: Vec<String> = second.iter().map(|id| format!("select {} as i", id + 1)).collect();
    take(&office, &next.join(" union ")).await;
    add(&office, 1001, "11:00:00").await;
}
on_both_databases!(new_rows_get_unused_ids_even_if_many_are_taken);

async fn new_rows_get_small_ids_when_the_largest_are_taken(office: Office) {
    take(&office, &format!("select {LARGEST} as i union select {} union select {}", LARGEST - 1, i64::MAX))
        .await;
    for time in ["10:00:00", "11:00:00"] {
        let ids = add(&office, 1001, time).await;
        assert!(ids.iter().all(|id| (1..LARGEST).contains(id)), "{ids:?}");
    }
}
on_both_databases!(new_rows_get_small_ids_when_the_largest_are_taken);
