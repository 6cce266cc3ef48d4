//! Tests the worst stored data: many rows, and texts of the EMR that exceed partners' limits.

use serde_json::{Value, json};

use super::{LARGEST, call, fault};
use crate::{
    access_matrix::{Access, Operation, operations},
    office::{Engine, Office, on_both_databases, run_sql},
    reference::examples,
};

/// Limits for one statement's result: rows and bytes.
const MOST_ROWS: usize = 20_001;
const MOST_BYTES: usize = 8 << 20;

/// Returns the numbers from 1 to `count`.
fn numbers(count: usize) -> String {
    format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {count})")
}

fn wide(length: usize) -> String {
    format!("'{}'", "😀".repeat(length))
}

/// Sets each text column of one row to a million characters.
async fn fill_row_with_long_texts(office: &Office, table: &str, columns: &str, row: &str) {
    // PostgreSQL's index of tag names rejects longer ones.
    let length = if table == "tags" { 100_000 } else { 1_000_000 };
    let huge = format!("'{}'", "e".repeat(length));
    // One update: each writes the whole row again, and runs the triggers.
    let all: Vec<String> = columns.split_whitespace().map(|column| format!("{column} = {huge}")).collect();
    let set = format!("update {table} set {} where {row}", all.join(", "));
    match table {
        "products" | "kb_articles" => run_sql(&office.catalog, &set).await,
        _ => office.sql(&set).await,
    }
}

const PATIENT_TEXTS: &str = "first_name mi last_name full_name nick_name gender life_stage pronouns \
    sexual_identity
    primary_language type phone cell_phone sms_phone email address unit city state zip country sh_name \
    sh_address sh_unit
    sh_city sh_state sh_zip sh_country pt_img notes";

async fn fill_people(office: &Office) {
    let at = "'2026-01-01T00:00:00Z'";
    let (n, name, street, notes) = (numbers(10_000), wide(100), wide(200), wide(10_000));
    office
        .sql(&format!(
            "insert into patients (patient_id, first_name, last_name, full_name, phone, prospect, \
                created_at, updated_at)
             {n} select 100000 + i, 'Many', 'People', 'Many People', '000-000-0000', (i % 2 = 0), {at}, {at} \
             from n;
             insert into patient_words (word, patient_id) {n} select '0000000000', 100000 + i from n;
             insert into patient_words (word, patient_id) {n} select 'people', 100000 + i from n;
             insert into tags (tag_id, name) {n} select 100000 + i, 'tag ' || i from n;
             insert into patient_tags (patient_id, tag_id) {n} select 1, 100000 + i from n where 1 = 0;"
        ))
        .await;
    // The lowest ids are on the first page.
    let widest: Vec<String> = (1..=100)
        .map(|id| {
            format!(
                "({id}, {name}, {name}, {name}, {name}, {street}, {street}, {street}, {name}, {notes}, {at}, \
                    {at})"
            )
        })
        .collect();
    for rows in widest.chunks(10) {
        office
            .sql(&format!(
                "insert into patients (patient_id, first_name, last_name, full_name, nick_name, address, \
                    sh_address, sh_name,
                     city, notes, created_at, updated_at) values {}",
                rows.join(", ")
            ))
            .await;
    }
    office
        .sql(&format!("insert into patient_tags (patient_id, tag_id) {n} select 1, 100000 + i from n"))
        .await;
    let picture = format!("data:image/png;base64,{}", "A".repeat(349_000));
    office.sql(&format!("update patients set pt_img = '{picture}' where patient_id between 2 and 20")).await;
    fill_row_with_long_texts(office, "patients", PATIENT_TEXTS, "patient_id = 1").await;
    fill_row_with_long_texts(office, "tags", "name colour", "tag_id = 100001").await;
}

async fn fill_schedule(office: &Office) {
    let (n, name) = (numbers(10_000), wide(255));
    office
        .sql(
            &format!(
                "insert into providers (provider_id, name, title, specialty, active) {n}
                 select 100000 + i, {name}, {name}, {name}, true from n;
             insert into resources (resource_id, name, active) {} select 100000 + i, 'Room', true from n;
             insert into visit_types (visit_type, active) {n} select 'type ' || i, true from n;
             insert into visit_type_providers (visit_type, provider_id)
                 select visit_type, provider_id from visit_types, providers
                 where visit_type like 'type 1_' and provider_id >= 100000;
             insert into visit_type_resources (visit_type, resource_id)
                 select visit_type, resource_id from visit_types, resources
                 where visit_type like 'type 2_' and resource_id >= 100000;",
                numbers(1_000),
            )
            .replace("active) with", "active)\n with"),
        )
        .await;
    fill_row_with_long_texts(office, "providers", "name title specialty", "provider_id = 1").await;
    let midnight = "2026-03-10T04:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    office.sql("delete from visits").await;
    for day in 0..7 {
        let rows: Vec<String> = (0..1_440)
            .map(|minute| {
                let from = midnight + (day * 1_440 + minute) * 60;
                let time = format!("{:02}:{:02}:00", minute / 60, minute % 60);
                format!(
                    "({}, 1, 'CONSULT', '2026-03-{}', '{time}', 1, '{time}', 1, 'Scheduled', {from}, {to}, \
                        {from}, {to},
                      '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')",
                    100_001 + (day * 1_440 + minute) % 10_000,
                    10 + day,
                    to = from + 60,
                )
            })
            .collect();
        office
            .sql(
                &format!(
                    "insert into visits (patient_id, provider_id, visit_type, visit_date, visit_time, \
                    visit_duration, provider_time,
                     provider_duration, status, starts_at, ends_at, provider_starts_at, provider_ends_at, \
                     created_at, updated_at)
                 values {}",
                    rows.join(", ")
                )
                .replace("CONSULT", &longest_type(office).await),
            )
            .await;
    }
}

/// Creates a visit type with a long name.
async fn longest_type(office: &Office) -> String {
    let name = "😀".repeat(100);
    let found =
        office.integer(&format!("select count(*) from visit_types where visit_type = '{name}'")).await;
    if found == 0 {
        office.sql(&format!("insert into visit_types (visit_type, active) values ('{name}', true)")).await;
    }
    name
}

async fn fill_tickets(office: &Office) {
    let at = "'2026-03-01T00:00:00Z'";
    let (n, subject, text) = (numbers(10_000), wide(200), wide(10_000));
    office
        .sql(&format!(
            "insert into tickets (ticket_id, subject, description, created_at, updated_at)
                 {n} select 100000 + i, {subject}, 'x', {at}, {at} from n;
             insert into ticket_history (ticket_id, old_status, new_status, author, changed_at)
                 {n} select 110000, 'Open', 'Waiting', {subject}, {at} from n;
             insert into ticket_comments (ticket_id, comment, author, created_at)
                 {} select 110000, {text}, {subject}, {at} from n;
             update tickets set description = {text} where ticket_id > 109900;",
            numbers(660),
        ))
        .await;
    fill_row_with_long_texts(office, "tickets", "subject description assignee", "ticket_id = 110000").await;
    let newest = "comment_id = (select max(comment_id) from ticket_comments)";
    fill_row_with_long_texts(office, "ticket_comments", "comment author", newest).await;
}

async fn fill_catalog(office: &Office) {
    let at = "'2026-01-01T00:00:00Z'";
    let (n, name, text) = (numbers(10_000), wide(200), wide(5_000));
    run_sql(
        &office.catalog,
        &format!(
            "insert into products (vendor_code, product_code, product, active, created_at, updated_at)
                 {n} select 'A' || (100000 + i), 'P', {name}, true, {at}, {at} from n;
             update products set description = {text} where vendor_code < 'A100100';
             insert into kb_articles (kb_id, title, article, category, type, tags, active, created_at, \
             updated_at)
                 {n} select 100000 + i, {name}, 'short', 'c', 't', 'x', true, {at}, {at} from n;
             update kb_articles set article = {text} where kb_id < 100100;"
        ),
    )
    .await;
    fill_row_with_long_texts(
        office,
        "products",
        "product category description upc",
        "vendor_code = 'A100001'",
    )
    .await;
    fill_row_with_long_texts(office, "kb_articles", "title article category type tags", "kb_id = 11").await;
}

/// Returns the path with the ids of the worst records.
fn worst_path(path: &str) -> String {
    let ids = [
        ("/prospects/1001", "/prospects/1"),
        ("/tags/prospects/1001", "/tags/prospects/1"),
        ("/ticket/7", "/ticket/110000"),
        ("/tickets/7", "/tickets/110000"),
        ("/kb/12", "/kb/11"),
        ("startDate=2026-03-09&endDate=2026-03-15", "startDate=2026-03-09&endDate=2026-06-08"),
    ];
    ids.iter().fold(path.to_owned(), |path, (example, worst)| path.replace(example, worst))
}

/// Returns the operation's example for the worst records, with each list at its maximum.
fn worst_calls(operation: &Operation) -> Vec<(String, Option<String>)> {
    let example = examples().into_iter().find(|it| it.operation == operation.name());
    let example = example.unwrap_or_else(|| panic!("{} has no example", operation.name()));
    let path = worst_path(&example.path);
    let body = example.request.map(|it| it.to_string());
    let (bare, _) = path.split_once('?').unwrap_or((&path, ""));
    let mut calls = vec![(path.clone(), body.clone())];
    if operation.method == "GET" {
        calls.push((bare.to_owned(), None));
        calls.push((format!("{bare}?limit=100"), None));
        calls.push((format!("{bare}?offset=9000"), None));
        calls.push((format!("{bare}?search=people"), None));
    }
    calls
}

async fn stored_data_of_any_size_gets_bounded_replies_and_statements(office: Office) {
    let mut office = office;
    fill_people(&office).await;
    fill_schedule(&office).await;
    fill_tickets(&office).await;
    fill_catalog(&office).await;
    let meter = office.meter().await;
    let token = office.token("all").await;
    let mut faults = Vec::new();
    let mut read = 0;
    // Reads come first, while the worst data is unchanged.
    let mut all = operations();
    all.retain(|it| matches!(it.access, Access::Partner(_)) && !it.path.starts_with("/v1/webhooks"));
    all.sort_by_key(|it| it.method != "GET");
    for operation in &all {
        let mut succeeded = false;
        for (path, body) in worst_calls(operation) {
            meter.take();
            let reply = call(&office, &token, operation, &path, body.as_deref()).await;
            succeeded |= reply.status.is_success();
            faults.extend(fault(&reply).map(|it| format!("{} {path}: {it}", operation.method)));
            let most = meter.take();
            if most.rows > MOST_ROWS || most.bytes > MOST_BYTES {
                faults.push(format!("{} {path}: {most:?}", operation.method));
            }
            if office.is_postgres().await {
                read += most.statements;
            }
        }
        // A read that finds nothing tests nothing.
        if !succeeded && operation.method == "GET" {
            faults.push(format!("{} finds no worst case", operation.name()));
        }
    }
    assert!(read > 200 || !office.is_postgres().await, "{read}");
    assert_eq!(faults, Vec::<String>::new());
}
on_both_databases!(stored_data_of_any_size_gets_bounded_replies_and_statements);

async fn the_pages_of_a_long_ticket_have_no_gaps(office: Office) {
    fill_tickets(&office).await;
    office.sql("delete from ticket_comments where author like 'eeee%'").await;
    let (mut seen, mut before, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let reply = office.get(&format!("/v1/DemoOffice/ticket/110000?limit=100{before}")).await;
        let comments = reply.expect(200)["data"]["Comments"].as_array().unwrap().clone();
        assert!(reply.bytes <= LARGEST && !comments.is_empty());
        let ids: Vec<i64> = comments.iter().map(|it| it["CommentID"].as_i64().unwrap()).collect();
        assert!(ids.is_sorted(), "oldest first");
        assert!(comments.iter().all(|it| it["Comment"].as_str().unwrap().chars().count() == 10_000));
        seen.splice(0..0, ids.iter().copied());
        pages += 1;
        match &reply.body["pagination"] {
            place if place["hasMore"] == true => {
                assert_eq!(place["before"], ids[0]);
                before = format!("&before={}", ids[0]);
            }
            place => {
                assert_eq!(place["before"], Value::Null);
                break;
            }
        }
    }
    assert_eq!(seen.len(), 659);
    assert!(seen.is_sorted() && seen.windows(2).all(|it| it[0] < it[1]) && pages > 10, "{pages}");
}
on_both_databases!(the_pages_of_a_long_ticket_have_no_gaps);

async fn a_list_that_is_too_long_continues_at_an_offset(office: Office) {
    fill_people(&office).await;
    fill_schedule(&office).await;
    let lists = [
        ("/v1/DemoOffice/tags", "id", "select count(*) from tags"),
        ("/v1/DemoOffice/tags/prospects/1", "id", "select count(*) from patient_tags where patient_id = 1"),
        ("/v1/DemoOffice/availability/providers", "id", "select count(*) from providers where active"),
        ("/v1/DemoOffice/visit-types", "VisitType", "select count(*) from visit_types where active"),
    ];
    for (path, id, count) in lists {
        let expected = office.integer(count).await;
        let mut seen = std::collections::BTreeSet::new();
        let mut offset = 0;
        loop {
            let reply = office.get(&format!("{path}?offset={offset}")).await;
            let rows = reply.expect(200)["data"].as_array().unwrap().clone();
            assert!(reply.bytes <= LARGEST);
            assert!(rows.iter().all(|row| seen.insert(row[id].to_string())), "{path}");
            offset += rows.len();
            if reply.body["pagination"]["hasMore"] != true || offset > 10_000 {
                break;
            }
        }
        assert!(
            i64::try_from(seen.len()).unwrap() == expected || offset > 10_000,
            "{path}: {} of {expected}",
            seen.len()
        );
    }
    // The schedule continues at a date.
    let path = "/v1/DemoOffice/availability/providers/1/schedule";
    let (mut visits, mut start) = (0, "2026-03-09".to_owned());
    loop {
        let reply = office.get(&format!("{path}?startDate={start}&endDate=2026-03-31")).await;
        assert!(reply.bytes <= LARGEST);
        visits += reply.expect(200)["data"]["totalVisits"].as_u64().unwrap();
        match reply.body["data"]["nextStartDate"].as_str() {
            Some(next) => next.clone_into(&mut start),
            None => break,
        }
    }
    assert_eq!(visits, 7 * 1_440);
}
on_both_databases!(a_list_that_is_too_long_continues_at_an_offset);

async fn a_phone_number_shared_by_thousands_costs_one_small_statement(office: Office) {
    let mut office = office;
    fill_people(&office).await;
    let meter = office.meter().await;
    let person = json!({
        "FirstName": "Ann", "LastName": "People", "Phone": "000-000-0000", "CellPhone": "(000) \
        000-0000" });
    let first = office.post("/v1/DemoOffice/prospects", &person).await;
    let first = first.expect(201)["data"]["PatientID"].as_i64().unwrap();
    meter.take();
    let reply = office.post("/v1/DemoOffice/prospects", &person).await;
    let ids: Vec<i64> = serde_json::from_value(reply.expect(201)["possibleDuplicates"].clone()).unwrap();
    // PostgreSQL continues its own sequence, SQLite the highest id.
    let alike: std::collections::BTreeSet<i64> = (100_001..=100_050).chain([first]).collect();
    assert_eq!(ids, alike.into_iter().take(50).collect::<Vec<i64>>());
    let most = meter.take();
    assert!(most.rows <= 500 && most.bytes <= 100_000, "{most:?}");
    assert!(most.statements > 3 || !office.is_postgres().await);
}
on_both_databases!(a_phone_number_shared_by_thousands_costs_one_small_statement);

async fn sending_back_a_truncated_emr_text_preserves_the_full_text(office: Office) {
    let long = "e".repeat(30_000);
    office
        .sql(&format!("update patients set notes = '{long}', city = '{long}' where patient_id = 1001"))
        .await;
    office
        .sql(&format!(
            "insert into tickets (ticket_id, subject, description, created_at, updated_at)
        values (900, 'Long', '{long}', '2026-03-09T11:00:00Z', '2026-03-09T11:00:00Z')"
        ))
        .await;
    let read = office.get("/v1/DemoOffice/prospects/1001").await;
    let notes = read.expect(200)["data"]["Notes"].as_str().unwrap().to_owned();
    assert_eq!((notes.chars().count(), notes.ends_with("e…")), (20_000, true));
    assert_eq!(read.body["data"]["City"].as_str().unwrap().chars().count(), 255);
    office.put("/v1/DemoOffice/prospects/1001", &json!({ "FirstName": "Adah" })).await.expect(200);
    office.put("/v1/DemoOffice/ticket/900", &json!({ "Subject": "Longer" })).await.expect(200);
    assert_eq!(
        office
            .integer(
                "select cast(length(notes) + length(city) as bigint) from patients where patient_id = 1001"
            )
            .await,
        60_000
    );
    assert_eq!(
        office.integer("select cast(length(description) as bigint) from tickets where ticket_id = 900").await,
        30_000
    );
    office
        .put("/v1/DemoOffice/prospects/1001", &json!({ "Notes": "Short", "City": "Rome" }))
        .await
        .expect(200);
    assert_eq!(
        office
            .integer(
                "select cast(length(notes) + length(city) as bigint) from patients where patient_id = 1001"
            )
            .await,
        9
    );
}
on_both_databases!(sending_back_a_truncated_emr_text_preserves_the_full_text);

#[tokio::test]
async fn the_worst_cases_cover_every_partner_operation() {
    // Webhook operations use the control plane, which `lists` fills.
    let all = operations();
    let reached = all.iter().filter(|it| matches!(it.access, Access::Partner(_))).map(worst_calls);
    assert!(reached.map(|calls| calls.len()).sum::<usize>() >= 60);
    let office = Office::open(Engine::Sqlite).await;
    assert_eq!(office.integer("select count(*) from patients").await, 3);
}

async fn days_with_unread_exceptions_are_closed(office: Office) {
    let at = |kind: &str| {
        format!("{} select 1, '2026-03-10', '{kind}', '09:00:00', '17:00:00' from n", numbers(20_001))
    };
    let insert = "insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time)";
    office.sql(&format!("{insert} {}", at("custom"))).await;
    let mut office = office;
    let meter = office.meter().await;
    let reply = office.get("/v1/DemoOffice/availability/providers/1/slots?date=2026-03-10&duration=30").await;
    assert_eq!(reply.expect(200)["data"]["Slots"], json!([]));
    let most = meter.take();
    assert!(most.rows <= MOST_ROWS, "{most:?}");
}
on_both_databases!(days_with_unread_exceptions_are_closed);
