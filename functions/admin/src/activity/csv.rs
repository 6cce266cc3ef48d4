//! Formats calls as a CSV file (RFC 4180).

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use shared::api::fit;

use super::ActivityRow;

const COLUMNS: &str =
    "time,method,endpoint,status,durationMs,partner,keyName,practicepass,ip,requestId,attemptedKeyId\r\n";

/// Maximum size of a file, in bytes.
const MOST_BYTES: usize = 1_000_000;

/// Returns the lines of the first rows, as many as fit in a file, and their number.
pub(super) fn lines(rows: &[ActivityRow]) -> (String, usize) {
    let lines: Vec<String> = rows.iter().map(line).collect();
    let fitting = fit::fill(MOST_BYTES, lines.iter().map(String::len)).min(lines.len());
    (lines[..fitting].concat(), fitting)
}

/// Returns the file. `next_cursor` is the cursor of the next one.
pub(super) fn file(lines: &str, next_cursor: Option<String>) -> Response {
    let text = format!("{COLUMNS}{lines}");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"activity.csv\""),
    ];
    let mut response = (headers, text).into_response();
    if let Some(cursor) = next_cursor.and_then(|cursor| HeaderValue::try_from(cursor).ok()) {
        response.headers_mut().insert(HeaderName::from_static("x-next-cursor"), cursor);
    }
    response
}

fn line(row: &ActivityRow) -> String {
    let (status, duration_ms) = (row.status.to_string(), row.duration_ms.to_string());
    let optional = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    let cells = [
        cell(&row.time),
        cell(&row.method),
        cell(&row.endpoint),
        cell(&status),
        cell(&duration_ms),
        optional(&row.partner),
        optional(&row.key_name),
        optional(&row.practicepass),
        optional(&row.ip),
        cell(&row.request_id),
        optional(&row.attempted_key_id),
    ];
    cells.join(",") + "\r\n"
}

/// Returns the text of a cell, quoted where RFC 4180 requires it.
///
/// An apostrophe precedes a first character that would make a spreadsheet evaluate the cell.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { "'" } else { "" };
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    format!("{guard}{text}")
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_with_a_separator_is_quoted() {
        assert_eq!(cell("Smith, Jones & Co"), "\"Smith, Jones & Co\"");
        assert_eq!(cell("the \"best\""), "\"the \"\"best\"\"\"");
        assert_eq!(cell("two\r\nlines"), "\"two\r\nlines\"");
        assert_eq!(cell("plain"), "plain");
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        assert_eq!(cell("\rx"), "\"'\rx\"");
    }
}
