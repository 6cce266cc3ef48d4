//! Tests of listing and searching prospects.

use serde_json::{Value, json};

use crate::office::{Engine, Office, on_both_databases};

const PROSPECTS: &str = "/v1/DemoOffice/prospects";

async fn create(office: &Office, body: Value) -> i64 {
    office.post(PROSPECTS, &body).await.expect(201)["data"]["PatientID"].as_i64().unwrap()
}

async fn found(office: &Office, query: &str) -> Vec<i64> {
    let reply = office.get(&format!("{PROSPECTS}?{query}")).await;
    let body = reply.expect(200);
    let ids: Vec<i64> =
        body["data"].as_array().unwrap().iter().map(|it| it["PatientID"].as_i64().unwrap()).collect();
    assert_eq!(body["count"], ids.len());
    ids
}

async fn a_list_is_paged_by_id(office: Office) {
    let mut all = vec![1001, 1002, 1003];
    for number in 0..4 {
        all.push(
            create(
                &office,
                json!({ "FirstName": "P", "LastName": "Q", "Phone": format!("212555010{number}") }),
            )
            .await,
        );
    }
    assert_eq!(found(&office, "").await, all);
    assert_eq!(found(&office, "page=2&limit=3").await, all[3..6]);
    let reply = office.get(&format!("{PROSPECTS}?page=3&limit=3")).await;
    assert_eq!(
        reply.expect(200)["pagination"],
        json!({ "page": 3, "limit": 3, "total": 7, "hasMore": false })
    );
    assert_eq!(found(&office, "page=4&limit=3").await, [0i64; 0]);
    let reply = office.get(&format!("{PROSPECTS}?limit=3")).await;
    assert_eq!(reply.expect(200)["pagination"]["hasMore"], true);
    let mut keys: Vec<_> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["count", "data", "pagination"]);
    assert_eq!(found(&office, "prospect=true").await, all[3..]);
    assert_eq!(found(&office, "prospect=false").await, all[..3]);
    assert_eq!(found(&office, "prospect=1&limit=2&search=p").await, all[3..5]);
    assert_eq!(found(&office, "prospect=false&search=p").await, [0i64; 0]);
}
on_both_databases!(a_list_is_paged_by_id);

async fn a_person_is_found_by_the_beginning_of_every_word(office: Office) {
    let jose = create(&office, json!({
        "FirstName": "José", "LastName": "Muñoz-O'Hara", "NickName": "Pepe", "EMail": "J.Munoz@Example.com",
            "Phone": "(212) 555-0123",
        "CellPhone": "+44 20 7946 0958",
    })).await;
    let other = create(
        &office,
        json!({
            "FirstName": "Joseph", "LastName": "Ohm", "EMail": "joe@example.org", "SMSPhone": "555-9876",
        }),
    )
    .await;
    for search in [
        "jos%C3%A9%20mun",
        "JOSE+mu%C3%B1oz",
        "o'hara",
        "ohara",
        "pep",
        "j.munoz@example.com",
        "j.mun",
        "555-0123",
        "(555)+0123",
        "5550123",
        "212+555+0123",
        "%2B1+(212)+555-0123",
        "0123+muno",
        "%2B44+20+7946",
        "jose+5550123",
    ] {
        assert_eq!(found(&office, &format!("search={search}")).await, [jose], "{search}");
    }
    assert_eq!(found(&office, "search=jos").await, [jose, other]);
    assert_eq!(found(&office, "search=oh").await, [jose, other]);
    assert_eq!(found(&office, "search=9876").await, [other]);
    for search in
        ["jose+smith", "ose", "example.com", "5550124", "--", "%25", "_", "';drop+table+patients;--"]
    {
        assert_eq!(found(&office, &format!("search={search}")).await, [0i64; 0], "{search}");
    }
    assert_eq!(found(&office, "search=%20").await.len(), 5);
}
on_both_databases!(a_person_is_found_by_the_beginning_of_every_word);

async fn a_changed_person_is_found_by_the_current_values(office: Office) {
    let id = create(
        &office,
        json!({
            "FirstName": "Mia", "LastName": "Brandt", "EMail": "mia@example.com", "Phone": "212-555-0111",
        }),
    )
    .await;
    let change = json!({ "LastName": "Keller", "EMail": null, "Phone": "646-555-0222" });
    office.put(&format!("{PROSPECTS}/{id}"), &change).await.expect(200);
    for gone in ["brandt", "mia@", "2125550111"] {
        assert_eq!(found(&office, &format!("search={gone}")).await, [0i64; 0], "{gone}");
    }
    for there in ["mia+keller", "6465550222"] {
        assert_eq!(found(&office, &format!("search={there}")).await, [id], "{there}");
    }
}
on_both_databases!(a_changed_person_is_found_by_the_current_values);

async fn a_row_includes_its_tags_and_a_page_is_one_audit_row(office: Office) {
    office.sql("insert into patient_tags (patient_id, tag_id) values (1001, 1), (1001, 2), (1003, 2)").await;
    let reply = office.get(PROSPECTS).await;
    let tags: Vec<&Value> =
        reply.expect(200)["data"].as_array().unwrap().iter().map(|it| &it["Tags"]).collect();
    let (vip, recall) = (json!({ "id": 1, "name": "VIP" }), json!({ "id": 2, "name": "Recall" }));
    assert_eq!(tags, [&json!([recall, vip]), &json!([]), &json!([recall])]);
    let listed =
        "select count(*) from audit_log where action = 'prospects.list' and entity_ids = '1001,1002,1003'";
    assert_eq!(office.integer(listed).await, 1);
}
on_both_databases!(a_row_includes_its_tags_and_a_page_is_one_audit_row);

#[tokio::test]
async fn a_malformed_query_returns_400_and_names_every_parameter() {
    let office = Office::open(Engine::Sqlite).await;
    let long = "a".repeat(201);
    let reply = office.get(&format!("{PROSPECTS}?page=0&limit=101&prospect=maybe&search={long}")).await;
    reply.expect_problem(400, "INVALID_QUERY");
    assert_eq!(reply.wrong_fields(), ["query.search", "query.page", "query.limit", "query.prospect"]);
    let reply = office.get(&format!("{PROSPECTS}?search=a+b+c+d+e+f+g+h+i")).await;
    assert_eq!(reply.wrong_fields(), ["query.search"]);
}

async fn a_patient_with_several_matching_words_is_found_once(office: Office) {
    let body = json!({ "FirstName": "Xavi", "LastName": "Xu", "EMail": "xx@example.com" });
    office.post("/v1/DemoOffice/prospects", &body).await.expect(201);
    let first = office.get("/v1/DemoOffice/prospects?search=x&limit=1").await;
    assert_eq!(first.expect(200)["pagination"]["total"], 1);
    let second = office.get("/v1/DemoOffice/prospects?search=x&limit=1&page=2").await;
    assert_eq!(second.expect(200)["count"], 0);
}
on_both_databases!(a_patient_with_several_matching_words_is_found_once);
