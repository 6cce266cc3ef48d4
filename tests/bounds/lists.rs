//! Administrators' lists of ten thousand items: bounded responses from bounded store calls.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::json;

use super::{call, fault};
use crate::{
    access_matrix::{Access, operations},
    office::{Engine, Office, Receiver, template},
    reference::examples,
};

const MANY: usize = 10_000;

type Item = std::collections::HashMap<String, AttributeValue>;

/// Writes ten thousand copies of an item, each with its own key.
async fn multiply(
    office: &Office,
    table: &str,
    (begins, sort): (&str, &str),
    place: impl Fn(usize) -> Vec<(&'static str, String)>,
) {
    let at = template().tables.iter().position(|it| it.id == table).unwrap();
    let name = &office.tables[at];
    let has =
        |item: &Item, name: &str, begins: &str| item[name].as_s().is_ok_and(|it| it.starts_with(begins));
    let of = |item: &Item| has(item, "pk", begins) && has(item, "sk", sort);
    let mut start = None;
    let original = loop {
        let scan = office.dynamodb.scan().table_name(name).set_exclusive_start_key(start);
        let scanned = scan.send().await.unwrap();
        start = scanned.last_evaluated_key;
        if let Some(found) = scanned.items.unwrap_or_default().into_iter().find(of) {
            break found;
        }
        assert!(start.is_some(), "no item starts with {begins}");
    };
    let numbers: Vec<usize> = (0..MANY).collect();
    for numbers in numbers.chunks(25) {
        let writes = numbers.iter().map(|number| {
            let mut item = original.clone();
            item.extend(
                place(*number).into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))),
            );
            WriteRequest::builder()
                .put_request(PutRequest::builder().set_item(Some(item)).build().unwrap())
                .build()
        });
        office.dynamodb.batch_write_item().request_items(name, writes.collect()).send().await.unwrap();
    }
}

async fn filled() -> (Office, Receiver) {
    let office = Office::open(Engine::Sqlite).await;
    let hook = Receiver::start().await;
    let signup = json!({ "hookUrl": hook.url, "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    let request_body =
        json!({ "company": "Nova", "practice": "DemoOffice", "contact": "Nia", "email": "nia@nova.example" });
    let content = [("content-type", "application/json")];
    office.call("POST", "/v1/access-requests", &content, Some(&request_body.to_string())).await.expect(202);
    office.admin("GET", "/v1/admin/audit", None).await.expect(200);
    multiply(&office, "ControlTable", ("PARTNER#", ""), |n| {
        vec![
            ("pk", format!("PARTNER#prt_{n:05}")),
            ("id", format!("prt_{n:05}")),
            ("gsi1sk", format!("{}#prt_{n:05}", "😀".repeat(200))),
            ("company", "😀".repeat(200)),
        ]
    })
    .await;
    multiply(&office, "ControlTable", ("KEY#", ""), |n| {
        vec![
            ("pk", format!("KEY#{n:012}")),
            ("id", format!("{n:012}")),
            ("partnerId", "prt_00001".to_owned()),
            ("gsi1sk", format!("2026-03-09T11:00:00.000000000Z#{n:012}")),
            ("name", "😀".repeat(100)),
        ]
    })
    .await;
    multiply(&office, "ControlTable", ("ACCESS#", ""), |n| {
        vec![
            ("pk", format!("ACCESS#arq_{n:05}")),
            ("id", format!("arq_{n:05}")),
            ("gsi1sk", format!("2026-03-09T11:00:00.000000000Z#arq_{n:05}")),
            ("message", "😀".repeat(2_000)),
        ]
    })
    .await;
    multiply(&office, "ControlTable", ("AUDIT", ""), |n| {
        vec![("sk", format!("2026-03-09T11:00:00.000000000Z#aud_{n:05}")), ("id", format!("aud_{n:05}"))]
    })
    .await;
    fill_practices(&office).await;
    (office, hook)
}

/// Adds practices with dispatch states, registry entries and subscriptions.
async fn fill_practices(office: &Office) {
    let odd: Vec<String> = (1..=20)
        .map(|id| {
            format!(
                "({id}, 'a table of the EMR''s own, number {id}', 'what it does', 1, '2026-03-09T12:00:00Z')"
            )
        })
        .collect();
    let insert = "insert into log (log_id, table_name, action, record_id, logged_at) values";
    office.sql(&format!("{insert} {}", odd.join(", "))).await;
    crate::pipeline::poll(office).await;
    multiply(office, "ControlTable", ("PRACTICE#DemoOffice", "DISPATCH"), |n| {
        let practice = format!("Practice{n:05}");
        vec![("pk", format!("PRACTICE#{practice}")), ("practicepass", practice)]
    })
    .await;
    // The registry knows them.
    multiply(office, "ControlTable", ("PRACTICE#DemoOffice", "PRACTICE"), |n| {
        let practice = format!("Practice{n:05}");
        vec![("pk", format!("PRACTICE#{practice}")), ("practicepass", practice.clone()), ("gsi1sk", practice)]
    })
    .await;
    multiply(office, "ControlTable", ("PRACTICE#DemoOffice", "SUB#"), |n| {
        let practice = format!("Practice{n:05}");
        vec![
            ("pk", format!("PRACTICE#{practice}")),
            ("practicepass", practice.clone()),
            ("gsi1sk", format!("{practice}#{n}")),
        ]
    })
    .await;
}

/// The checks share one office, because filling it takes minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_lists_of_ten_thousand_items_are_bounded_and_complete() {
    let (office, _hook) = filled().await;
    responses_and_store_calls_are_bounded(&office).await;
    each_list_is_paged_by_cursor_without_gaps(&office).await;
    dispatch_states_beyond_the_limit_are_counted(&office).await;
}

async fn responses_and_store_calls_are_bounded(office: &Office) {
    let mut faults = Vec::new();
    let mut asked = 0;
    for operation in operations().iter().filter(|it| it.access == Access::Admin && it.method == "GET") {
        let example = examples().into_iter().find(|it| it.operation == operation.name());
        let example = example.unwrap_or_else(|| panic!("{} has no example", operation.name()));
        let (bare, _) = example.path.split_once('?').unwrap_or((&example.path, ""));
        for path in [
            example.path.clone(),
            bare.to_owned(),
            format!("{bare}?limit=100"),
            format!("{bare}?partnerId=prt_acme"),
        ] {
            office.store_calls.take();
            let reply = call(office, "", operation, &path, None).await;
            let calls = office.store_calls.take().len();
            faults.extend(fault(&reply).map(|it| format!("{path}: {it}")));
            // Activity and usage of a range of days are spread over partitions, whatever they
            // contain.
            let days = path.contains("activity") || path.contains("overview");
            // A subscription's state depends on what its partner may receive: two reads, and one
            // per key. The list of subscriptions is spread over partitions.
            let rights = ["/v1/admin/webhooks", "/v1/admin/partners/{id}"].contains(&operation.path.as_str());
            // Deliveries, their counts and subscriptions are spread over partitions, of each of
            // which it asks a few questions.
            let monitor = operation.path.ends_with("/monitor");
            if calls
                > if days {
                    2_000
                } else if rights {
                    430
                } else if monitor {
                    130
                } else {
                    80
                }
            {
                faults.push(format!("{path}: {calls} store calls"));
            }
            asked += 1;
        }
    }
    assert!(asked >= 4 * 8, "{asked}");
    assert_eq!(faults, Vec::<String>::new());
}

async fn each_list_is_paged_by_cursor_without_gaps(office: &Office) {
    for (list, least) in [
        ("/v1/admin/partners?limit=100", MANY + 2),
        ("/v1/admin/keys?limit=100", MANY + 3),
        ("/v1/admin/keys?partnerId=prt_acme&limit=100", 2),
        ("/v1/admin/access-requests?limit=100", MANY + 1),
        ("/v1/admin/audit?limit=100", MANY),
    ] {
        let (mut seen, mut cursor, mut most) = (BTreeSet::new(), String::new(), 0);
        loop {
            office.store_calls.take();
            let reply = office.admin("GET", &format!("{list}{cursor}"), None).await;
            most = most.max(office.store_calls.take().len());
            let body = reply.expect(200);
            for row in body["data"].as_array().unwrap() {
                assert!(seen.insert(row["id"].to_string()), "{list} repeats {}", row["id"]);
            }
            assert_eq!(body["pagination"]["hasMore"], body["pagination"]["nextCursor"].is_string());
            match body["pagination"]["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(seen.len() >= least, "{list}: {}", seen.len());
        // One query of the page, its audit record, and a few more for a rare condition.
        assert!(most <= 9, "{list}: {most}");
    }
}

async fn dispatch_states_beyond_the_limit_are_counted(office: &Office) {
    let monitor = office.admin("GET", "/v1/admin/webhooks/monitor", None).await;
    let body = monitor.expect(200);
    let told = body["dispatchStates"].as_array().unwrap().len();
    let omitted = usize::try_from(body["dispatchStatesOmitted"].as_u64().unwrap()).unwrap();
    // Of the first 1,000 practices of the registry, one has no log that was read.
    assert_eq!(told + omitted, 999);
    let one = office.admin("GET", "/v1/admin/webhooks/monitor?practicepass=Practice00999", None).await;
    assert_eq!(one.expect(200)["dispatchStates"][0]["unknown"].as_array().unwrap().len(), 20);
    assert_eq!(one.body.get("dispatchStatesOmitted"), None);
}
