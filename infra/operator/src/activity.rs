//! Exports the call records as one CSV file.

use std::io::Write as _;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Operator;
use crate::error::{Error, Result};

impl Operator {
    /// Writes the calls in a time range to standard output, newest first; returns their number.
    pub async fn export_activity(
        &self,
        (from, to): (Timestamp, Timestamp),
        practice: Option<&str>,
    ) -> Result<usize> {
        let api = self.admin_api().await?;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut query = format!("from={}&to={}", encoded(&from.to_string()), encoded(&to.to_string()));
        if let Some(practice) = practice {
            query = format!("{query}&practicepass={}", encoded(practice));
        }
        let (mut cursor, mut rows) = (None::<String>, 0);
        loop {
            let page = cursor.as_ref().map_or_else(String::new, |it| format!("&cursor={}", encoded(it)));
            let (file, next) = api.get_csv(&format!("/v1/admin/activity?{query}{page}")).await?;
            // Each page starts with the column names; the export has them once.
            let lines = file.iter().position(|byte| *byte == b'\n').map_or(file.len(), |end| end + 1);
            let begin = if cursor.is_some() { lines } else { 0 };
            std::io::stdout().write_all(&file[begin..]).map_err(Error::io("standard output"))?;
            rows += count_rows(&file[lines..]);
            eprintln!("{rows} calls so far …");
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(rows),
            }
        }
    }
}

/// Counts the rows of a CSV: line ends outside quotes.
fn count_rows(text: &[u8]) -> usize {
    let (mut rows, mut quoted) = (0, false);
    for byte in text {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => rows += 1,
            _ => {}
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::count_rows;

    #[test]
    fn a_cell_may_contain_line_breaks() {
        assert_eq!(count_rows(b"a,b\r\n\"one\r\ntwo\",c\r\n"), 2);
        assert_eq!(count_rows(b""), 0);
    }
}
