//! Tests of creating prospects.

use serde_json::{Value, json};

use crate::office::{Engine, Office, on_both_databases};

const PROSPECTS: &str = "/v1/DemoOffice/prospects";

fn john() -> Value {
    json!({ "FirstName": "John", "LastName": "Doe", "EMail": "john@example.com", "Phone": "555-0123" })
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

async fn a_new_prospect_is_returned_with_every_field(office: Office) {
    let reply = office.post(PROSPECTS, &john()).await;
    let body = reply.expect(201);
    let data = body["data"].as_object().unwrap();
    assert!(body["message"].is_string());
    assert_eq!(data["FullName"], "John Doe");
    assert_eq!(data["Prospect"], 1);
    assert_eq!(data["Tags"], json!([]));
    assert_eq!(data["CreatedAt"], "2026-03-09T12:00:00Z");
    for field in [
        "PatientID",
        "MI",
        "NickName",
        "Gender",
        "DOB",
        "LifeStage",
        "Pronouns",
        "SexualIdentity",
        "PrimaryLanguage",
        "Type",
        "CellPhone",
        "SMSPhone",
        "Address",
        "Unit",
        "City",
        "State",
        "Zip",
        "Country",
        "ProviderID",
        "Sh_Name",
        "Sh_Address",
        "Sh_Unit",
        "Sh_City",
        "Sh_State",
        "Sh_Zip",
        "Sh_Country",
        "PtImg",
        "Notes",
        "UpdatedAt",
    ] {
        assert!(data.contains_key(field), "{field}");
    }
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "message"]);
    let location = reply.header("location");
    assert_eq!(location, format!("{PROSPECTS}/{}", data["PatientID"]));
    let read = office.get(location).await;
    assert_eq!(read.expect(200)["data"], body["data"]);
    assert_eq!(read.header("etag"), reply.header("etag"));
    assert!(read.header("etag").starts_with('"'));
}
on_both_databases!(a_new_prospect_is_returned_with_every_field);

async fn every_field_of_the_reference_is_stored_as_sent(office: Office) {
    let sent = json!({
        "FirstName": "Zoë", "MI": "Q", "LastName": "O'Hara", "FullName": "Dr Zoë O'Hara", "NickName": "Zo",
            "Gender": "o",
        "DOB": "1990-02-28", "LifeStage": "EarlyAdult", "Pronouns": "they/them", "SexualIdentity": "queer",
        "PrimaryLanguage": "English", "Type": "Patient,Cash", "Phone": "(212) 555-0142", "CellPhone": "+1 \
            212 555 0143",
        "SMSPhone": "212.555.0144 x5", "EMail": "zoe@example.com", "Address": "1 Main St", "Unit": "4b",
        "City": "New York", "State": "NY", "Zip": "10001-1234", "Country": "US", "ProviderID": 1,
            "Prospect": 0,
        "Sh_Name": "Zoë", "Sh_Address": "Hauptstr. 1", "Sh_Unit": "2", "Sh_City": "Köln", "Sh_State": "NRW",
        "Sh_Zip": "50667", "Sh_Country": "DE", "PtImg": "https://img.example.com/zoe.png",
        "Notes": "two\nlines",
    });
    let reply = office.post(PROSPECTS, &sent).await;
    let data = &reply.expect(201)["data"];
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&data[name], value, "{name}");
    }
    let reply = office
        .post(
            PROSPECTS,
            &json!({
                "FirstName": "A", "LastName": "B", "CellPhone": "2125550199", "Type": ["Cash", "Child"],
            }),
        )
        .await;
    assert_eq!(reply.expect(201)["data"]["Type"], "Child,Cash");
}
on_both_databases!(every_field_of_the_reference_is_stored_as_sent);

async fn a_creation_writes_a_log_row_and_an_audit_row(office: Office) {
    let id = office.post(PROSPECTS, &john()).await.expect(201)["data"]["PatientID"].clone();
    let log = format!(
        "select count(*) from log where table_name = 'patients' and action = 'insert' and record_id = {id}"
    );
    assert_eq!(office.integer(&log).await, 1);
    let audit = format!(
        "select count(*) from audit_log where action = 'prospects.create' and entity = 'patient' and \
            entity_ids = '{id}' and partner_id = 'prt_acme'"
    );
    assert_eq!(office.integer(&audit).await, 1);
}
on_both_databases!(a_creation_writes_a_log_row_and_an_audit_row);

async fn a_possible_duplicate_is_created_and_the_matches_are_named(office: Office) {
    let first = office
        .post(
            PROSPECTS,
            &json!({
                "FirstName": "José", "LastName": "García", "DOB": "1980-05-06", "EMail": "Jose@Example.com",
                    "CellPhone": "+1 (212) 555-0150",
            }),
        )
        .await
        .expect(201)["data"]["PatientID"]
        .clone();
    let resembling = [
        json!({ "FirstName": "X", "LastName": "Y", "EMail": " jose@example.COM " }),
        json!({ "FirstName": "X", "LastName": "Y", "Phone": "212.555.0150" }),
        json!({ "FirstName": "JOSE", "LastName": "garcia", "DOB": "1980-05-06", "Phone": "646 555 0101" }),
    ];
    for body in resembling {
        let reply = office.post(PROSPECTS, &body).await;
        let named = reply.expect(201)["possibleDuplicates"].as_array().unwrap();
        assert!(named.contains(&first), "{body}: {named:?}");
        assert!(!named.contains(&reply.body["data"]["PatientID"]));
    }
    let different = [
        json!({
            "FirstName": "José", "LastName": "García", "DOB": "1980-05-07", "EMail": "jose.g@example.com",
        }),
        json!({ "FirstName": "Maria", "LastName": "García", "DOB": "1980-05-06", "Phone": "646 555 0102" }),
        json!({ "FirstName": "X", "LastName": "Y", "Phone": "555-0151" }),
    ];
    for body in different {
        let reply = office.post(PROSPECTS, &body).await;
        assert_eq!(reply.expect(201).get("possibleDuplicates"), None, "{body}");
    }
}
on_both_databases!(a_possible_duplicate_is_created_and_the_matches_are_named);

async fn every_invalid_field_is_named(office: Office) {
    let reply = office.post(PROSPECTS, &json!({
        "FirstName": "", "LastName": 5, "MI": "x".repeat(11), "EMail": "john@", "Phone": "12",
        "Gender": "male",
            "LifeStage": "Old",
        "Type": "Patient,Robot", "DOB": "2026-03-10", "State": "ZZ", "Zip": "1", "Country": "US",
            "ProviderID": 99,
        "Prospect": 2, "Sh_Country": "XX", "PtImg": "javascript:alert(1)", "Unknown": 1, "Notes": "a\u{0}b",
    })).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(
        sorted(reply.wrong_fields()),
        [
            "body.DOB",
            "body.EMail",
            "body.FirstName",
            "body.Gender",
            "body.LastName",
            "body.LifeStage",
            "body.MI",
            "body.Notes",
            "body.Phone",
            "body.Prospect",
            "body.ProviderID",
            "body.PtImg",
            "body.Sh_Country",
            "body.State",
            "body.Type",
            "body.Unknown",
            "body.Zip",
        ]
    );
    assert_eq!(office.integer("select count(*) from patients").await, 3);
    let reply = office.post(PROSPECTS, &json!({ "EMail": null })).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(
        sorted(reply.wrong_fields()),
        ["body.CellPhone", "body.EMail", "body.FirstName", "body.LastName", "body.Phone"]
    );
}
on_both_databases!(every_invalid_field_is_named);

#[tokio::test]
async fn a_birth_date_is_not_in_the_future_of_the_practice() {
    let office = Office::open(Engine::Sqlite).await;
    // It is still the 9th in New York, but already the 10th in Berlin.
    office.set_time("2026-03-10T01:00:00Z");
    let born = json!({ "FirstName": "A", "LastName": "B", "Phone": "2125550101", "DOB": "2026-03-10" });
    let reply = office.post(PROSPECTS, &born).await;
    reply.expect_problem(422, "INVALID_FIELDS");
    assert_eq!(reply.wrong_fields(), ["body.DOB"]);
    let token = office.token("other").await;
    office.send(&token, "POST", "/v1/OtherOffice/prospects", Some(&born)).await.expect(201);
}

#[tokio::test]
async fn a_picture_must_be_an_image_within_the_size_limit() {
    let office = Office::open(Engine::Sqlite).await;
    let with = async |image: &str| {
        let body = json!({ "FirstName": "A", "LastName": "B", "Phone": "2125550101", "PtImg": image });
        office.post(PROSPECTS, &body).await
    };
    let png = |bytes: usize| {
        // Every PNG file starts with "iVBORw0KGgoA".
        format!("data:image/png;base64,iVBORw0KGgoA{}", "AAAA".repeat((bytes - 9) / 3))
    };
    let reply = with(&png(250_002)).await;
    let path = format!("{PROSPECTS}/{}", reply.expect(201)["data"]["PatientID"]);
    assert_eq!(office.get(&path).await.expect(200)["data"]["PtImg"], png(250_002).as_str());
    let listed = office.get(PROSPECTS).await;
    let row = listed.expect(200)["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(row.get("PtImg"), None, "a page must not grow with its pictures");
    assert!(office.get(&format!("{PROSPECTS}/1001")).await.expect(200)["data"]["PtImg"].is_null());
    for bad in [
        png(270_000).as_str(),
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,R0lGODlh",
        "data:image/png;base64,????",
        "http://img.example.com/a.png",
        "https://user:word@img.example.com/a.png",
        &format!("https://img.example.com/{}", "a".repeat(2048)),
    ] {
        let reply = with(bad).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(reply.wrong_fields(), ["body.PtImg"]);
    }
}

async fn a_repeated_request_creates_nobody_and_has_the_same_reply(office: Office) {
    let authorization = format!("Bearer {}", office.token("all").await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "k-1"),
    ];
    let body = john().to_string();
    let first = office.call("POST", PROSPECTS, &headers, Some(&body)).await;
    let second = office.call("POST", PROSPECTS, &headers, Some(&body)).await;
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(first.header("etag"), second.header("etag"));
    assert_eq!(office.integer("select count(*) from patients").await, 4);
    let other = office.call("POST", PROSPECTS, &headers, Some(&body.replace("John", "Jon"))).await;
    other.expect_problem(422, "IDEMPOTENCY_KEY_REUSED");
    // A rejected request leaves its key unused.
    let headers = [headers[0], headers[1], ("idempotency-key", "k-2")];
    office.call("POST", PROSPECTS, &headers, Some("{}")).await.expect_problem(422, "INVALID_FIELDS");
    office.call("POST", PROSPECTS, &headers, Some(&body)).await.expect(201);
}
on_both_databases!(a_repeated_request_creates_nobody_and_has_the_same_reply);

async fn a_name_must_be_visible_and_have_no_bidi_controls(office: Office) {
    let post = async |name: &str| {
        let body = json!({ "FirstName": name, "LastName": "Once", "Phone": "212-555-0188" });
        office.post("/v1/DemoOffice/prospects", &body).await
    };
    for (name, code) in [
        ("\u{feff}", "TOO_SHORT"),
        ("\u{200b}", "TOO_SHORT"),
        ("\u{301}", "TOO_SHORT"),
        (" \u{200d}\u{ad} ", "TOO_SHORT"),
        ("\u{202e}annA", "INVALID_VALUE"),
        ("An\u{2066}na", "INVALID_VALUE"),
    ] {
        let reply = post(name).await;
        reply.expect_problem(422, "INVALID_FIELDS");
        assert_eq!(reply.wrong_fields(), ["body.FirstName"]);
        assert_eq!(reply.body["errors"][0]["code"], code, "{name:?}");
    }
    // Some scripts need joiners, combining marks or direction marks.
    for name in [
        "\u{646}\u{6cc}\u{200c}\u{645}\u{627}",
        "\u{915}\u{94d}\u{200d}\u{937}",
        "e\u{301}va",
        "\u{5d3}\u{5e0}\u{200f}",
    ] {
        assert_eq!(post(name).await.expect(201)["data"]["FirstName"], name);
    }
}
on_both_databases!(a_name_must_be_visible_and_have_no_bidi_controls);
