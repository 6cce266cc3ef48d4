//! Lists of a hundred thousand deliveries: every filter finds its rows by key and reads no others.

use std::{cell::Cell, collections::BTreeSet};

use serde::{Deserialize, Deserializer, de::Visitor, forward_to_deserialize_any};
use serde_json::Value;
use shared::control::deliveries::Delivery;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

use crate::{
    office::{Answer, Engine, Office, Receiver, external, template},
    pipeline::{deliver, poll},
};

const MANY: i64 = 100_000;
/// Maximum calls of the store per page: the subscription, one for each outcome, and those of an
/// administrator's call.
const MOST_OF_A_PARTNER: usize = 6;
const MOST_OF_A_MONITOR: usize = 130;
/// The first copied id, above all that the office has assigned.
const FIRST: i64 = 1_000;

/// Opens an office with an old waiting event, an old failed test, and then `MANY` delivered events.
async fn filled() -> (Office, Receiver) {
    let office = Office::open(Engine::Sqlite).await;
    let hook = Receiver::start().await;
    let signup = serde_json::json!({ "hookUrl": hook.url, "scopes": ["Claims"] });
    office.post("/v1/webhooks/signup", &signup).await.expect(201);
    for id in 1..=2 {
        hook.then(Answer::status(if id == 1 { 200 } else { 500 }));
        office
            .sql(&format!(
                "insert into log (log_id, table_name, action, record_id, logged_at) values \
            ({id}, 'claims', 'insert', 1, '2026-03-09T12:00:00Z')"
            ))
            .await;
        poll(&office).await;
        assert_eq!(deliver(&office).await, 0);
    }
    hook.then(Answer::status(500));
    office.post("/v1/webhooks/test", &serde_json::json!({})).await.expect(200);
    multiply(&office).await;
    (office, hook)
}

/// Copies the successful delivery, writing directly to the file of the DynamoDB stand-in.
async fn multiply(office: &Office) {
    let mut file =
        SqliteConnection::connect(&format!("sqlite://{}", office.store_file.display())).await.unwrap();
    let numbers = format!(
        "with recursive numbers (n) as (select {FIRST} union all select n + 1 from numbers where n < {})",
        FIRST + MANY - 1
    );
    let item = "json_set(item_json, '$.pk.S', 'D#DemoOffice#1#' || n, '$.id.N', '' || n, '$.feedPk.S', \
        'FEED#' || (n % 4), '$.feedPlace.S', printf('delivered#%016d', n), '$.partnerPlace.S', \
        printf('prt_acme#delivered#%016d', n))";
    let of_partner = "'S:prt_acme#delivered#%016d'";
    for copies in [
        format!(
            "insert into \"DeliveriesTable\" (pk, sk, item_json, item_size) {numbers}
                 select 'S:D#DemoOffice#1#' || n, sk, {item}, item_size from numbers, \"DeliveriesTable\" \
                 where pk = 'S:D#DemoOffice#1#1'"
        ),
        format!(
            "insert into \"DeliveriesTable::gsi::feed\" (gsi_pk, gsi_sk, table_pk, table_sk, item_json) \
            {numbers}
                 select 'S:FEED#' || (n % 4), printf('S:delivered#%016d', n), 'S:D#DemoOffice#1#' || n, \
                 table_sk, {item}
                 from numbers, \"DeliveriesTable::gsi::feed\" where table_pk = 'S:D#DemoOffice#1#1'"
        ),
        format!(
            "insert into \"DeliveriesTable::gsi::byPractice\" (gsi_pk, gsi_sk, table_pk, table_sk, \
            item_json) {numbers}
                 select gsi_pk, printf({of_partner}, n), 'S:D#DemoOffice#1#' || n, table_sk, {item}
                 from numbers, \"DeliveriesTable::gsi::byPractice\" where table_pk = 'S:D#DemoOffice#1#1'"
        ),
    ] {
        let copied = file.execute(AssertSqlSafe(copies)).await.unwrap().rows_affected();
        assert_eq!(copied, u64::try_from(MANY).unwrap());
    }
}

/// Returns the answer and the number of store calls for it.
async fn asked(office: &Office, of_admin: bool, path: &str) -> (Value, usize) {
    office.store_calls.take();
    let reply = if of_admin { office.admin("GET", path, None).await } else { office.get(path).await };
    (reply.expect(200).clone(), office.store_calls.take().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_delivery_list_and_filter_takes_a_few_queries_per_page() {
    if external().is_some() {
        return;
    }
    let (office, _hook) = filled().await;
    office.get("/v1/webhooks").await.expect(200);
    let success = |body: &Value, list: &str| -> Vec<bool> {
        body[list].as_array().unwrap().iter().map(|it| it["success"].as_bool().unwrap()).collect()
    };
    for (filter, expected) in [("", None), ("success=true", Some(true)), ("success=false", Some(false))] {
        for limit in [1, 25, 100] {
            let path = format!("/v1/webhooks/deliveries?limit={limit}&{filter}");
            let (body, calls) = asked(&office, false, &path).await;
            assert!(calls <= MOST_OF_A_PARTNER, "{path}: {calls}");
            let shown = success(&body, "data");
            assert!(shown.iter().all(|it| expected.is_none_or(|expected| *it == expected)), "{path}");
            assert_eq!(shown.len(), if expected == Some(false) { limit.min(2) } else { limit }, "{path}");
            if let Some(cursor) = body["pagination"]["nextCursor"].as_str() {
                let (next, calls) = asked(&office, false, &format!("{path}&cursor={cursor}")).await;
                assert!(calls <= MOST_OF_A_PARTNER, "{path}, next: {calls}");
                assert!(next["data"][0]["id"].as_i64() < body["data"][0]["id"].as_i64(), "{path}");
            }
            for place in ["", "&practicepass=DemoOffice", "&practicepass=OtherOffice"] {
                for offset in [0, 1_000] {
                    let path =
                        format!("/v1/admin/webhooks/monitor?limit={limit}&offset={offset}&{filter}{place}");
                    let (body, calls) = asked(&office, true, &path).await;
                    assert!(calls <= MOST_OF_A_MONITOR, "{path}: {calls}");
                    let shown = success(&body, "recentDeliveries");
                    assert!(shown.iter().all(|it| expected.is_none_or(|expected| *it == expected)), "{path}");
                    let nothing = place.ends_with("OtherOffice") || (expected == Some(false) && offset > 0);
                    let failed = if expected == Some(false) { limit.min(2) } else { limit };
                    assert_eq!(shown.len(), if nothing { 0 } else { failed }, "{path}");
                }
            }
        }
    }
    for id in [FIRST, FIRST + 51_234, FIRST + MANY - 1] {
        let (body, calls) = asked(&office, false, &format!("/v1/webhooks/deliveries/{id}")).await;
        assert_eq!((body["data"]["id"].as_i64(), calls <= MOST_OF_A_PARTNER), (Some(id), true), "{calls}");
        let (body, calls) = asked(&office, true, &format!("/v1/admin/webhooks/deliveries/{id}")).await;
        assert_eq!((body["data"]["id"].as_i64(), calls <= MOST_OF_A_PARTNER), (Some(id), true), "{calls}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_a_hundred_thousand_deliveries_is_paged_without_gaps() {
    if external().is_some() {
        return;
    }
    let (office, _hook) = filled().await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    // The newest thousand, and the end of the list.
    while pages < 10 {
        let page = office.get(&format!("/v1/webhooks/deliveries?limit=100{cursor}")).await;
        let body = page.expect(200);
        seen.extend(body["data"].as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()));
        cursor = format!("&cursor={}", body["pagination"]["nextCursor"].as_str().unwrap());
        pages += 1;
    }
    let newest: Vec<i64> = (0..1_000).map(|n| FIRST + MANY - 1 - n).collect();
    assert_eq!(seen, newest);
    let oldest = office.get("/v1/webhooks/deliveries?success=false").await;
    assert_eq!(oldest.expect(200)["data"].as_array().unwrap().len(), 2);
    assert_eq!(oldest.body["pagination"]["hasMore"], false);
}

/// Records the names of the attributes from which a structure is deserialized.
struct Names<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a structure with names"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.set(fields);
        Err(serde::de::Error::custom("only the names are needed"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[test]
fn every_attribute_of_a_delivery_except_its_history_and_claim_is_in_every_index() {
    let names = Cell::default();
    let _ = Delivery::deserialize(Names(&names));
    let read: BTreeSet<&str> = names.get().iter().copied().collect();
    assert!(read.len() >= 20 && read.contains("unscheduled"), "{read:?}");
    let table = template().tables.iter().find(|it| it.id == "DeliveriesTable").unwrap();
    for index in &table.indexes {
        let keys = table.keys.iter().chain(&index.keys).map(|it| it.name.as_str());
        let listed = index.attributes.as_ref().expect("listed attributes").iter().map(String::as_str);
        let there: BTreeSet<&str> = keys.chain(listed).collect();
        let missing: Vec<&&str> = read.difference(&there).collect();
        assert_eq!(missing, [&"claimedBy", &"claimedUntil", &"history"], "{}", index.name);
    }
}
