//! The examples of the published reference, as printed.

use serde_json::Value;

const REFERENCE: &str = include_str!("partner-api.txt");

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// A body to send.
    Request(Value),
    /// The method and path to call, with the query.
    Path(String),
    Answer(Value),
}

/// An example under its endpoint.
pub(super) struct Block {
    /// Its name in the description, e.g. `GET /v1/me`.
    pub(super) operation: String,
    pub(super) kind: Kind,
}

pub(super) fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut operation, mut label) = (String::new(), "");
    let mut lines = REFERENCE.lines();
    while let Some(line) = lines.next() {
        if is_call(line) && label == "Example Request" {
            let path = line.split_once(' ').unwrap().1.to_owned();
            blocks.push(Block { operation: operation.clone(), kind: Kind::Path(path) });
        } else if is_call(line) {
            line.clone_into(&mut operation);
        } else if line == "{" {
            let rest = lines.by_ref().take_while(|line| *line != "}").collect::<Vec<_>>().join("\n");
            // The reference omits the rows of one list.
            let text = format!("{{{rest}}}").replace("[ ... ]", "[]");
            let value = serde_json::from_str(&text).unwrap();
            let answer = label.ends_with("Response");
            let kind = if answer { Kind::Answer(value) } else { Kind::Request(value) };
            blocks.push(Block { operation: operation.clone(), kind });
        }
        if !line.is_empty() {
            label = line;
        }
    }
    blocks
}

fn is_call(line: &str) -> bool {
    ["GET /v1/", "POST /v1/", "PUT /v1/", "PATCH /v1/", "DELETE /v1/"].iter().any(|it| line.starts_with(it))
}

/// Returns every endpoint that the reference names.
pub(super) fn operations() -> Vec<&'static str> {
    let mut label = "";
    let mut found = Vec::new();
    for line in REFERENCE.lines() {
        if is_call(line) && label != "Example Request" {
            found.push(line);
        }
        label = line;
    }
    found
}
