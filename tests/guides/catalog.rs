//! The catalog of error codes, generated from the codes and the description of the API.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;
use shared::api::Code;

use crate::described::described;

/// More operations than this are not listed.
const MOST_LISTED: usize = 12;

/// Returns the catalog as Markdown: for each status its codes, each with an anchor of its name.
///
/// `explanations` is the text of `codes.md`.
///
/// # Panics
/// If a code has no explanation, or an explanation has no code.
pub(super) fn catalog(explanations: &str) -> String {
    let mut explained = explanations_by_code(explanations);
    let operations = operations_by_code();
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    let mut text = String::new();
    for (status, codes) in by_status {
        let reason = codes[0].status().canonical_reason().unwrap_or_default();
        writeln!(text, "### {status} {reason}\n").unwrap();
        for code in codes {
            let name = code.as_str();
            let (cause, remedy) = explained.remove(name).unwrap_or_else(|| panic!("codes.md lacks {name}"));
            writeln!(text, "#### {name} {{#{name}}}\n").unwrap();
            writeln!(text, "*{}.*\n\n{cause}\n\n**What to do:** {remedy}\n", code.title()).unwrap();
            writeln!(text, "{}\n", returned_by(operations.get(name).map_or(&[][..], Vec::as_slice))).unwrap();
        }
    }
    let unknown: Vec<&String> = explained.keys().collect();
    assert!(unknown.is_empty(), "codes.md explains codes that do not exist: {unknown:?}");
    text
}

fn explanations_by_code(text: &str) -> BTreeMap<String, (String, String)> {
    let sections = text.split("\n## ").skip(1);
    let explanations = sections.map(|section| {
        let mut parts = section.trim().split("\n\n");
        let mut next = || parts.next().expect("a code, its cause and its remedy").to_owned();
        let explanation = (next(), (next(), next()));
        assert_eq!(parts.next(), None, "{}", explanation.0);
        explanation
    });
    explanations.collect()
}

/// Maps each code to the ids of the operations that return it.
fn operations_by_code() -> BTreeMap<String, Vec<Operation>> {
    let mut found: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    let described = described();
    let items = described["paths"].as_object().unwrap().values();
    for operation in items.flat_map(|item| item.as_object().unwrap().values()) {
        for response in operation["responses"].as_object().unwrap().values() {
            let examples = &response["content"]["application/problem+json"]["examples"];
            for code in examples.as_object().into_iter().flat_map(|it| it.keys()) {
                found.entry(code.clone()).or_default().push(Operation::of(operation));
            }
        }
    }
    found
}

struct Operation {
    id: String,
    /// Whether partners' programs call it, not only administrators and the portal.
    for_partners: bool,
}

impl Operation {
    fn of(operation: &Value) -> Self {
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        let secured = operation["security"].as_array().into_iter().flatten();
        let admin = secured.filter_map(Value::as_object).any(|it| it.contains_key("adminSecret"));
        Self {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            for_partners: !admin && tag != "Portal",
        }
    }
}

fn returned_by(operations: &[Operation]) -> String {
    let ids: Vec<&str> = operations.iter().filter(|it| it.for_partners).map(|it| it.id.as_str()).collect();
    let links = ids.iter().map(|id| format!("[`{id}`](../#/docs/{id})"));
    match (operations.len(), ids.len()) {
        (0, _) => "Can be returned by any call.".to_owned(),
        (_, 0) => "Returned only to administrators and by the portal's own calls.".to_owned(),
        (_, count) if count > MOST_LISTED => format!("Returned by {count} calls."),
        _ => format!("Returned by {}.", links.collect::<Vec<_>>().join(", ")),
    }
}
