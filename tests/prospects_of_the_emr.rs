//! Searches find patients that the EMR's own programs wrote without search words.

use serde_json::json;
use shared::in_transaction;
use shared::sql;

use crate::{
    office::{Engine, Office, ends, on_both_databases},
    pipeline::poll,
    webhooks::sign_up,
};

const PROSPECTS: &str = "/v1/DemoOffice/prospects";

async fn found(office: &Office, search: &str) -> Vec<i64> {
    let reply = office.get(&format!("{PROSPECTS}?search={search}")).await;
    reply.expect(200)["data"].as_array().unwrap().iter().map(|it| it["PatientID"].as_i64().unwrap()).collect()
}

async fn admit(office: &Office, id: i64, first: &str, last: &str, more: &str) {
    office
        .sql(&format!(
            "insert into patients (patient_id, first_name, last_name, full_name, email, phone, created_at, \
                updated_at)
             values ({id}, '{first}', '{last}', '{first} {last}', {more}, '2026-03-01T10:00:00Z', \
             '2026-03-01T10:00:00Z')"
        ))
        .await;
}

async fn import(office: &Office, ids: std::ops::Range<i64>) {
    for id in ids {
        admit(office, id, "Imported", &format!("Number{id}"), "null, null").await;
    }
}

async fn an_admitted_patient_is_found(office: Office) {
    admit(&office, 5001, "Zelda", "Quist", "'Zelda.Q@example.com', '(212) 555-0177'").await;
    for search in ["zel", "quist%20zelda", "zelda.q@", "2125550177", "0177"] {
        assert_eq!(found(&office, search).await, [5001], "{search}");
    }
}
on_both_databases!(an_admitted_patient_is_found);

async fn a_patient_is_found_only_by_the_new_name_or_number(office: Office) {
    admit(&office, 5001, "Zelda", "Quist", "'z@example.com', '(212) 555-0177'").await;
    assert_eq!(found(&office, "quist").await, [5001]);
    let changes = [
        ("last_name = 'Xavier', full_name = 'Zelda Xavier'", "xavier", "quist"),
        ("first_name = 'Yolanda', full_name = 'Yolanda Xavier'", "yolanda", "zelda"),
        ("phone = '(212) 555-0188'", "5550188", "5550177"),
        ("cell_phone = '(212) 555-0190'", "5550190", "5550191"),
        ("cell_phone = null", "5550188", "5550190"),
        ("sms_phone = '(212) 555-0192'", "5550192", "5550190"),
        ("email = 'new@example.com'", "new@example", "z@example"),
        ("nick_name = 'Wanda'", "wanda", "quist"),
        ("mi = 'Vee'", "vee", "quist"),
        ("full_name = 'Umberta Xavier'", "umberta", "quist"),
    ];
    for (change, new, old) in changes {
        office.sql(&format!("update patients set {change} where patient_id = 5001")).await;
        assert_eq!(found(&office, new).await, [5001], "{change}");
        assert_eq!(found(&office, old).await, [0i64; 0], "{change}");
    }
}
on_both_databases!(a_patient_is_found_only_by_the_new_name_or_number);

async fn only_changes_of_searchable_columns_cause_reindexing(office: Office) {
    assert_eq!(found(&office, "ada").await, [1001]);
    assert_eq!(office.integer("select count(*) from unindexed_patients").await, 0);
    office.sql("update patients set notes = 'called', first_name = 'Ada' where patient_id = 1001").await;
    assert_eq!(office.integer("select count(*) from unindexed_patients").await, 0);
    let body = json!({ "FirstName": "Vera", "LastName": "Lund", "Phone": "212-555-0166" });
    let reply = office.post(PROSPECTS, &body).await;
    let id = &reply.expect(201)["data"]["PatientID"];
    office.put(&format!("{PROSPECTS}/{id}"), &json!({ "FirstName": "Veronica" })).await.expect(200);
    assert_eq!(office.integer("select count(*) from unindexed_patients").await, 0);
}
on_both_databases!(only_changes_of_searchable_columns_cause_reindexing);

async fn an_admitted_patient_is_a_possible_duplicate(office: Office) {
    admit(&office, 5001, "Zelda", "Quist", "null, '(212) 555-0177'").await;
    let body = json!({ "FirstName": "Z.", "LastName": "Q.", "Phone": "212-555-0177" });
    let reply = office.post(PROSPECTS, &body).await;
    assert_eq!(reply.expect(201)["possibleDuplicates"], json!([5001]));
}
on_both_databases!(an_admitted_patient_is_a_possible_duplicate);

async fn the_poller_indexes_imported_patients(office: Office) {
    sign_up(&office, "https://partner.example.com/hook", &["Claims"]).await;
    import(&office, 6000..6450).await;
    poll(&office).await;
    assert_eq!(office.integer("select count(*) from unindexed_patients").await, 0);
    assert_eq!(found(&office, "number6449").await, [6449]);
}
on_both_databases!(the_poller_indexes_imported_patients);

async fn searches_alone_index_imported_patients(office: Office) {
    import(&office, 6000..7000).await;
    let mut searches = 0;
    while found(&office, "number6999").await.is_empty() {
        searches += 1;
        assert!(searches < 10, "a search indexes no patient");
    }
    assert_eq!(office.integer("select count(*) from unindexed_patients").await, 0);
}
on_both_databases!(searches_alone_index_imported_patients);

async fn a_patient_with_a_thousand_words_is_found_and_delays_nobody(office: Office) {
    let words: Vec<String> = (0..1000).map(|number| format!("w{number}x")).collect();
    admit(&office, 5001, "Longest", &words.join(" "), "null, null").await;
    admit(&office, 5002, "Zelda", "Quist", "null, null").await;
    assert_eq!(found(&office, "quist").await, [5002]);
    assert_eq!(found(&office, "longest").await, [5001]);
}
on_both_databases!(a_patient_with_a_thousand_words_is_found_and_delays_nobody);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_patient_delays_nobody() {
    let office = Office::open(Engine::Sqlite).await;
    office
        .sql(
            "insert into patients (patient_id, first_name, last_name, full_name, dob, created_at, updated_at)
             values (5001, x'ff', 'Blob', 'Blob', '01/02/1980', '2026-03-01T10:00:00Z', \
             '2026-03-01T10:00:00Z')",
        )
        .await;
    admit(&office, 5002, "Zelda", "Quist", "null, null").await;
    assert_eq!(found(&office, "quist").await, [5002]);
    assert_eq!(office.integer("select count(*) from unindexed_patients").await, 0);
}

/// The EMR's role has no rights to the `unindexed_patients` table, and another search path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_only_role_can_still_write_patients() {
    let office = Office::open(Engine::Postgres).await;
    let role = format!("emr_{}", std::process::id());
    let schema = "(select relnamespace::regnamespace::text from pg_class where oid = 'patients'::regclass)";
    office
        .sql(&format!(
            "create role {role};
             do $$ begin execute 'grant usage on schema ' || {schema} || ' to {role}'; end $$;
             grant insert, select, update on patients to {role};
             do $$ declare home text := {schema}; begin
                 set local role {role};
                 set local search_path = pg_catalog;
                 execute 'insert into ' || home || \
                 '.patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
                     values (5001, ''Zelda'', ''Quist'', ''Zelda Quist'', now(), now())';
                 reset role;
             end $$;
             drop owned by {role};
             drop role {role};"
        ))
        .await;
    assert_eq!(found(&office, "quist").await, [5001]);
}

/// The EMR's transaction locks the patient: a search does not wait, and finds the change later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_being_changed_is_indexed_by_the_next_search() {
    let office = Office::open(Engine::Postgres).await;
    admit(&office, 5001, "Zelda", "Quist", "null, null").await;
    let result: sql::Result<()> = in_transaction!(office.db, sql::Error, |conn| {
        if let sql::Conn::Postgres(connection) = conn {
            sqlx::query("update patients set last_name = 'Xavier' where patient_id = 5001")
                .execute(&mut **connection)
                .await?;
        }
        // The EMR's transaction is still open.
        assert_eq!(ends("a search beside the EMR", found(&office, "xavier")).await, [0i64; 0]);
        Ok(())
    });
    result.unwrap();
    assert_eq!(found(&office, "xavier").await, [5001]);
}
