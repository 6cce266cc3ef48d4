//! Endpoints respond whatever values the EMR writes into its tables.
//!
//! Every value that a column's type allows is written into every column.
//!
//! Columns, values and endpoints come from the schema and from the OpenAPI description, so a new
//! one is covered automatically.

mod calendar;
mod data_problems;
mod listed;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::Value;
use shared::sql::Database;

use crate::{
    access_matrix::Access,
    office::{Engine, Office, run_sql, try_sql},
};
use values::{Column, columns};

/// Tables that only this product writes.
const OUR_OWN: [&str; 7] = [
    "tenant_identity",
    "audit_log",
    "idempotency_keys",
    "unindexed_patients",
    "patient_words",
    "zone_offsets",
    "_sqlx_migrations",
];

/// A row for every EMR table that the fixture leaves empty.
const ROWS: &str = "
insert into schedule_exceptions (exception_id, exception_date, kind, start_time, end_time, provider_id) values
    (1, '2026-03-11', 'custom', '10:00:00', '12:00:00', 1);
insert into patient_tags (patient_id, tag_id) values (1001, 1);
insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
visit_duration,
                    provider_time, provider_duration, status, starts_at, ends_at, provider_starts_at, \
                    provider_ends_at,
                    created_at, updated_at) values
    (1, 1001, 1, 101, 'Consult', '2026-03-09', '10:00:00', 30, '10:00:00', 30, 'Scheduled',
     1773064800, 1773066600, 1773064800, 1773066600, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z');
insert into tickets (ticket_id, subject, description, status, created_at, updated_at) values
    (1, 'Fax', 'It is broken', 'Open', '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z'),
    (2, 'Phone', null, 'Open', '2026-03-02T10:00:00Z', '2026-03-02T10:00:00Z');
insert into ticket_comments (comment_id, ticket_id, comment, author, created_at) values
    (1, 1, 'Since Monday', 'Kim', '2026-03-01T10:00:00Z');
insert into ticket_history (history_id, ticket_id, old_status, new_status, author, changed_at) values
    (1, 1, 'Waiting', 'Open', 'Kim', '2026-03-01T10:00:00Z');
insert into log (table_name, action, record_id, logged_at) values ('patients', 'insert', 1001, \
'2026-03-09T11:00:00Z');
";
const CATALOG_ROWS: &str = "
insert into products (product_id, vendor_code, product_code, product, retail_price_cents, cost_cents, \
created_at, updated_at) values
    (1, 'V001', 'P001', 'Gel', 999, 500, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z');
";

/// A request that reads the changed row.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    path: String,
    body: Option<Value>,
}

/// Returns the id of the fixture's row in a path.
fn id_in(path: &str) -> &'static str {
    match path {
        _ if path.contains("/prospects/") => "1001",
        _ if path.contains("/kb/") => "11",
        _ => "1",
    }
}

/// Returns a value for the parameter; a parameter without one must be optional.
fn parameter(name: &str) -> Option<&'static str> {
    let known = [
        ("date", "2026-03-09"),
        ("time", "10:15"),
        ("duration", "30"),
        ("visitType", "Consult"),
        ("search", "a"),
        ("status", "Open"),
        ("prospect", "false"),
        ("prospectId", "1001"),
        ("vendorCode", "V001"),
        ("category", "Billing"),
        ("type", "HowTo"),
        ("includeInactive", "true"),
        ("startDate", "2026-03-01"),
        ("endDate", "2026-03-31"),
    ];
    known.into_iter().find(|(it, _)| *it == name).map(|(_, value)| value)
}

/// Returns every read request of partners, and requests that change data, which also read.
///
/// The reads are with and without their optional parameters.
fn requests() -> Vec<Request> {
    let description = crate::described::described();
    let mut requests = Vec::new();
    for operation in crate::access_matrix::operations() {
        if !matches!(operation.access, Access::Partner(_)) || operation.method != "GET" {
            continue;
        }
        let path = operation.path.replace("{PPass}", "DemoOffice").replace("{id}", id_in(&operation.path));
        assert!(!path.contains('{'), "no row for {path}");
        let described = &description["paths"][&operation.path]["get"]["parameters"];
        let parameters = described.as_array().into_iter().flatten().filter(|it| it["in"] == "query");
        let (mut required, mut all) = (Vec::new(), Vec::new());
        for it in parameters {
            let name = it["name"].as_str().unwrap();
            let value = parameter(name).map(|value| format!("{name}={value}"));
            if it["required"] == true {
                required.push(value.clone().unwrap_or_else(|| panic!("no value for {name} of {path}")));
            }
            all.extend(value);
        }
        for query in BTreeSet::from([required, all]) {
            let path = if query.is_empty() { path.clone() } else { format!("{path}?{}", query.join("&")) };
            requests.push(Request { method: "GET".into(), path, body: None });
        }
    }
    assert!(requests.len() > 20, "{}", requests.len());
    for (path, body) in [
        ("/v1/DemoOffice/prospects/1001", serde_json::json!({ "NickName": "Addie" })),
        ("/v1/DemoOffice/ticket/1", serde_json::json!({ "Assignee": "Lee" })),
        ("/v1/kb/11", serde_json::json!({ "Tags": "insurance" })),
    ] {
        requests.push(Request { method: "PUT".into(), path: path.into(), body: Some(body) });
    }
    requests
}

struct Sweep {
    office: Office,
    engine: Engine,
    token: String,
    requests: Vec<Request>,
}

impl Sweep {
    async fn open(engine: Engine) -> Self {
        let office = Office::open(engine).await;
        run_sql(&office.db, ROWS).await;
        run_sql(&office.catalog, CATALOG_ROWS).await;
        let token = office.token("all").await;
        let sweep = Self { office, engine, token, requests: requests() };
        for (request, status) in sweep.answers(&sweep.requests).await {
            // The partner has no webhooks.
            let expected = if request.path.starts_with("/v1/webhooks") { 404 } else { 200 };
            assert!(status == 200 || status == expected, "{request:?} as it is: {status}");
        }
        sweep
    }

    async fn answers<'a>(&self, requests: &'a [Request]) -> Vec<(&'a Request, u16)> {
        let answer = async |request: &'a Request| {
            let Request { method, path, body } = request;
            let reply = self.office.send(&self.token, method, path, body.as_ref()).await;
            (request, reply.status.as_u16())
        };
        join_all(requests.iter().map(answer)).await
    }

    /// Returns the requests that fail without the table, and therefore read it.
    async fn readers(&self, db: &Database, table: &str) -> Vec<Request> {
        run_sql(db, &format!("alter table {table} rename to elsewhere")).await;
        let answers = self.answers(&self.requests).await;
        run_sql(db, &format!("alter table elsewhere rename to {table}")).await;
        answers.into_iter().filter(|(_, status)| *status >= 500).map(|(it, _)| it.clone()).collect()
    }

    /// Writes each value into each column in turn, and sends all requests that read the table.
    async fn write_everything(&self, db: &Database) {
        let mut unread = Vec::new();
        let mut failed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut readers: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        for column in columns(db, self.engine, &OUR_OWN).await {
            let Column { table, name, .. } = &column;
            if !readers.contains_key(table) {
                let found = self.readers(db, table).await;
                if found.is_empty() {
                    unread.push(table.clone());
                }
                readers.insert(table.clone(), found);
            }
            let before = column.stored(db).await;
            let mut accepted = 0;
            for value in column.values(self.engine).into_iter().chain([before.as_str()]) {
                if try_sql(db, &column.update(value)).await.is_err() {
                    continue;
                }
                accepted += 1;
                for (request, status) in self.answers(&readers[table]).await {
                    if status >= 500 {
                        let what = format!("{} {}: {status}", request.method, request.path);
                        failed.entry(what).or_default().push(format!("{table}.{name} = {value}"));
                    }
                }
                run_sql(db, &column.restore(value, &before)).await;
            }
            assert!(accepted > 0 || column.is_generated, "{table}.{name} takes no value at all");
        }
        // Only the poller reads the log.
        unread.retain(|table| table != "log");
        assert!(unread.is_empty(), "no request reads {unread:?}");
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_in_a_practice_column_makes_an_endpoint_fail_sqlite() {
    let sweep = Sweep::open(Engine::Sqlite).await;
    sweep.write_everything(&sweep.office.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_in_a_practice_column_makes_an_endpoint_fail_postgres() {
    let sweep = Sweep::open(Engine::Postgres).await;
    sweep.write_everything(&sweep.office.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_in_a_catalog_column_makes_an_endpoint_fail_sqlite() {
    let sweep = Sweep::open(Engine::Sqlite).await;
    sweep.write_everything(&sweep.office.catalog).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_in_a_catalog_column_makes_an_endpoint_fail_postgres() {
    let sweep = Sweep::open(Engine::Postgres).await;
    sweep.write_everything(&sweep.office.catalog).await;
}
