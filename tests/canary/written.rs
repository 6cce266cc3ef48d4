//! Everything that is written outside the practice's database.

use std::fmt::Write as _;

use super::BORN;
use crate::office::Office;

/// What none of the places may contain, in lower case.
const TRACES: [&str; 5] = ["canary7f3a", "5550987", "555-0987", "555%2d0987", BORN];

/// Returns every trace with its context.
pub(super) fn traces_in(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut found = Vec::new();
    for trace in TRACES {
        for (at, _) in text.match_indices(trace).take(3) {
            let from = text.floor_char_boundary(at.saturating_sub(120));
            let to = text.ceil_char_boundary(at + trace.len() + 40);
            found.push(text[from..to].to_owned());
        }
    }
    found
}

/// Returns every item of every table.
pub(super) async fn dynamodb(office: &Office) -> String {
    let mut all = String::new();
    for table in &office.tables {
        let mut pages = office.dynamodb.scan().table_name(table).into_paginator().send();
        while let Some(page) = pages.next().await {
            for item in page.unwrap().items() {
                writeln!(all, "{item:?}").unwrap();
            }
        }
    }
    all
}
