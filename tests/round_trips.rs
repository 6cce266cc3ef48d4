//! GET, change, PUT: a record may be sent back as read; names and phone numbers are accepted as
//! people write them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    access_matrix::{Access, operations},
    office::{Engine, Office, on_both_databases},
};

/// A row of the EMR with nulls and odd but legal texts.
const ODD: &str = "insert into patients (patient_id, first_name, last_name, full_name, gender, life_stage, \
    type, phone, email, state,
        zip, country, pt_img, created_at, updated_at)
    values (5001, ' ', 'Weiß', 'Prof. Weiß', 'M', '', 'cash', 'n/a', 'none', 'Bayern', 'x', 'Deutschland!', \
    'http://10.0.0.1/a',
        '2026-01-02T10:00:00.123456Z', '2026-01-02T10:00:00Z');
    insert into tickets (ticket_id, subject, description, assignee, created_at, updated_at)
    values (77, ' ', '', '', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z')";

async fn read_and_written(office: &Office, method: &str, path: &str, access: &Access) -> (Value, Value) {
    let call = async |method: &str, body: Option<&Value>| match access {
        Access::Admin => office.admin(method, path, body).await,
        _ => office.send(&office.token("all").await, method, path, body).await,
    };
    let read = match path.strip_prefix("/v1/admin/keys/") {
        Some(id) => {
            let list = office.admin("GET", "/v1/admin/keys", None).await;
            let rows = list.expect(200)["data"].as_array().unwrap().clone();
            rows.into_iter().find(|it| it["id"] == id).unwrap()
        }
        None => call("GET", None).await.expect(200)["data"].clone(),
    };
    let written = call(method, Some(&read)).await;
    let mut after = written.expect(200)["data"].clone();
    let mut before = read.clone();
    // Fields that only the reading of one record shows, or that change by themselves.
    let own = ["identityChanges", "keys", "practices", "subscriptions"];
    for name in ["Comments", "History", "lastUsedAt", "updatedAt"].into_iter().chain(own) {
        for value in [&mut before, &mut after] {
            value.as_object_mut().unwrap().remove(name);
        }
    }
    (before, after)
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02x}");
        encoded
    })
}

async fn every_changeable_record_may_be_sent_back_as_read(office: Office) {
    office.sql(ODD).await;
    let partners = office.admin("GET", "/v1/admin/partners", None).await;
    let keys = office.admin("GET", "/v1/admin/keys", None).await;
    let first =
        |reply: &crate::office::Reply| reply.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let (partner, key) = (first(&partners), first(&keys));
    let articles = office.get("/v1/kb?includeInactive=true").await;
    let article = articles.expect(200)["data"][0]["KBID"].to_string();
    let mut swept = 0;
    for operation in operations().iter().filter(|it| ["PUT", "PATCH"].contains(&it.method.as_str())) {
        let ids: &[&str] = match operation.path.as_str() {
            "/v1/{PPass}/prospects/{id}" => &["1001", "5001"],
            "/v1/{PPass}/ticket/{id}" => &["77"],
            "/v1/kb/{id}" => &[&article],
            "/v1/admin/partners/{id}" => &[&partner],
            "/v1/admin/keys/{id}" => &[&key],
            "/v1/me" => &[""],
            path => panic!("{path}: say which record is read"),
        };
        for id in ids {
            let path = operation.path.replace("{PPass}", "DemoOffice").replace("{id}", id);
            let (before, after) =
                read_and_written(&office, &operation.method, &path, &operation.access).await;
            assert_eq!(before, after, "{} {path}", operation.method);
            swept += 1;
        }
    }
    assert!(swept >= 7, "{swept}");
}
on_both_databases!(every_changeable_record_may_be_sent_back_as_read);

async fn a_changed_read_only_field_is_rejected(office: Office) {
    let body = json!({
        "PatientID": 7, "Tags": [], "CreatedAt": "2020-01-01T00:00:00Z", "UpdatedAt": null, "City": "Boston",
    });
    let reply = office.put("/v1/DemoOffice/prospects/1001", &body).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    let errors = reply.body["errors"].as_array().unwrap();
    let refused: Vec<&Value> =
        errors.iter().filter(|it| it["code"] == "READ_ONLY_FIELD").map(|it| &it["location"]).collect();
    assert_eq!(refused, ["body.CreatedAt", "body.PatientID", "body.UpdatedAt"]);
    let body =
        json!({ "PatientID": "1001", "CreatedAt": "2026-01-02T05:00:00.000-05:00", "ProviderID": "1" });
    assert_eq!(office.put("/v1/DemoOffice/prospects/1001", &body).await.expect(200)["data"]["ProviderID"], 1);
}
on_both_databases!(a_changed_read_only_field_is_rejected);

async fn names_are_found_as_people_type_them(office: Office) {
    for (id, last) in [
        (5001, "Weiß"),
        (5002, "Νίκος"),
        (5003, "Işıl"),
        (5004, "Łukasz"),
        (5005, "Søren"),
        (5006, "Đoković"),
        (5007, "Þórsdóttir"),
        (5008, "राम"),
        (5009, "रीमा"),
        (5010, "かく"),
        (5011, "がく"),
    ] {
        office
            .sql(&format!(
                "insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
            values ({id}, 'X', '{last}', 'X', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')"
            ))
            .await;
    }
    for (search, id) in [
        ("WEISS", 5001),
        ("weiß", 5001),
        ("ΝΙΚΟΣ", 5002),
        ("IŞIL", 5003),
        ("işil", 5003),
        ("lukasz", 5004),
        ("soren", 5005),
        ("dokovic", 5006),
        ("thorsdottir", 5007),
        ("राम", 5008),
        ("रीमा", 5009),
        ("かく", 5010),
        ("がく", 5011),
    ] {
        let query = percent(search);
        let reply = office.get(&format!("/v1/DemoOffice/prospects?search={query}")).await;
        let found: Vec<&Value> =
            reply.expect(200)["data"].as_array().unwrap().iter().map(|it| &it["PatientID"]).collect();
        assert_eq!(found, [&json!(id)], "{search}");
    }
}
on_both_databases!(names_are_found_as_people_type_them);

async fn tickets_are_found_in_any_normal_form(office: Office) {
    office.sql(ODD).await;
    office.post("/v1/DemoOffice/tickets", &json!({ "Subject": "Mu\u{308}ller" })).await.expect(201);
    office.post("/v1/DemoOffice/tickets/77/comment", &json!({ "Comment": "Weiß" })).await.expect(201);
    for (search, count) in
        [("M%C3%BCller", 1), ("Mu%CC%88ller", 1), ("muller", 1), ("WEISS", 1), ("nobody", 0)]
    {
        let reply = office.get(&format!("/v1/DemoOffice/tickets?search={search}")).await;
        assert_eq!(reply.expect(200)["count"], count, "{search}");
    }
    office.sql("update tickets set subject = 'Đoković' where ticket_id = 77").await;
    assert_eq!(office.get("/v1/DemoOffice/tickets?search=dokovic").await.expect(200)["count"], 1);
}
on_both_databases!(tickets_are_found_in_any_normal_form);

async fn an_address_is_validated_as_it_will_be_stored(office: Office) {
    let ada = "/v1/DemoOffice/prospects/1001";
    for prefix in ["", "Sh_"] {
        let field = |name: &str| format!("{prefix}{name}");
        office
            .put(ada, &json!({ field("Country"): "DE", field("State"): "Bayern", field("Zip"): "SW1A 1AA" }))
            .await
            .expect(200);
        let reply = office.put(ada, &json!({ field("Country"): "US" })).await;
        assert_eq!(
            reply.wrong_fields(),
            [format!("body.{}", field("State")), format!("body.{}", field("Zip"))]
        );
        office
            .put(ada, &json!({ field("Country"): "US", field("State"): "NY", field("Zip"): null }))
            .await
            .expect(200);
    }
}
on_both_databases!(an_address_is_validated_as_it_will_be_stored);

async fn the_creation_time_equals_the_one_read_later(office: Office) {
    office.set_time("2026-03-09T12:00:00.123456789Z");
    office.sql(ODD).await;
    let comment = office.post("/v1/DemoOffice/tickets/77/comment", &json!({ "Comment": "now" })).await;
    let read = office.get("/v1/DemoOffice/ticket/77").await;
    assert_eq!(comment.expect(201)["data"], read.expect(200)["data"]["Comments"][0]);
}
on_both_databases!(the_creation_time_equals_the_one_read_later);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dangling_reference_does_not_block_a_change() {
    let office = Office::open(Engine::Sqlite).await;
    office
        .sql(
            "pragma foreign_keys = off;
             update patients set provider_id = 9999 where patient_id = 1001;
             insert into visit_type_resources (visit_type, resource_id) values ('Consult', 1.5);
             insert into visits (patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
             visit_duration)
                 values (1002, 1, 1.5, 'Consult', '2026-03-12', '15:00', 30);
             pragma foreign_keys = on",
        )
        .await;
    let path = "/v1/DemoOffice/prospects/1001";
    let changed = office.put(path, &json!({ "City": "Springfield" })).await;
    assert_eq!(changed.expect(200)["data"]["City"], "Springfield");
    let next = "/v1/DemoOffice/availability/providers/2/next-slot?visitType=Consult&duration=30";
    office.get(next).await.expect(200);
}

async fn a_patient_is_found_by_every_phone_number_from_the_emr(office: Office) {
    let office: Office = office;
    office
        .sql(
            "insert into patients (patient_id, first_name, last_name, full_name, phone, created_at, \
        updated_at) values
        (5001, 'Fay', 'X', 'Fay X', 'Fax: 212-555-7788, home 212 555 0101', '2026-03-01T10:00:00Z', \
        '2026-03-01T10:00:00Z')",
        )
        .await;
    for search in ["2125557788", "555-0101"] {
        let reply = office.get(&format!("/v1/DemoOffice/prospects?search={search}")).await;
        assert_eq!(reply.expect(200)["data"][0]["PatientID"], 5001, "{search}");
    }
}
on_both_databases!(a_patient_is_found_by_every_phone_number_from_the_emr);
