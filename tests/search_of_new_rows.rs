//! A search indexes rows that the EMR's own programs wrote, as many as time permits.

use std::{fmt::Write as _, time::Duration};

use shared::{catalog::Catalogs, sql::Timeouts, tenant::Practices};

use crate::office::{Office, on_both_databases, run_sql, timeouts};

/// No time is left to begin anything else.
const NO_TIME: Timeouts = Timeouts { before_search: Duration::ZERO, ..timeouts::DATABASE };
/// The list to search, its table's columns, a row's values after its id (#), and a number of rows
/// greater than one search indexes.
const SEARCHED: [(&str, &str, &str, u64); 4] = [
    (
        "/v1/DemoOffice/prospects",
        "patients (patient_id, first_name, last_name, full_name,",
        "'Zoe', 'Zebra', 'Zoe Zebra'",
        120,
    ),
    ("/v1/DemoOffice/tickets", "tickets (ticket_id, subject,", "'Zebra'", 30),
    ("/v1/products", "products (product_id, vendor_code, product_code, product,", "'V', '#', 'Zebra'", 120),
    ("/v1/kb", "kb_articles (kb_id, title, article,", "'Zebra', 'text'", 4),
];

fn insertion(columns: &str, values: &str, rows: u64) -> String {
    let mut statement = format!("insert into {columns} created_at, updated_at) values ");
    for id in 1..=rows {
        let comma = if id == 1 { "" } else { ", " };
        let values = values.replace('#', &id.to_string());
        let _ = write!(statement, "{comma}({id}, {values}, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z')");
    }
    statement
}

async fn a_search_without_time_left_returns_the_indexed_rows(office: Office) {
    let mut office: Office = office;
    office.answer_with(office.another_app(|parts| {
        parts.practices = Practices::for_background_work(8).with_timeouts(NO_TIME);
        parts.catalogs = Catalogs::for_background_work(8).with_timeouts(NO_TIME);
    }));
    for (path, columns, values, rows) in SEARCHED {
        let statement = insertion(columns, values, rows);
        if path.contains("DemoOffice") {
            office.sql(&statement).await;
        } else {
            run_sql(&office.catalog, &statement).await;
        }
        let mut before = 0;
        while before < rows {
            let reply = office.get(&format!("{path}?search=zebra")).await;
            let found = reply.expect(200)["pagination"]["total"].as_u64().unwrap();
            assert!(before > 0 || found < rows, "{path}: the first search found all {found}");
            assert!(found > before, "{path}: a search found {found}, as the one before");
            before = found;
        }
    }
}
on_both_databases!(a_search_without_time_left_returns_the_indexed_rows);
