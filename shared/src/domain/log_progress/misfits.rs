//! Counts of log rows that are not events, or only with a substitute value.

use serde::{Deserialize, Serialize};

use crate::domain::ids::LogId;

/// The most pairs to distinguish.
const MOST_PAIRS: usize = 20;
/// The length to which names are truncated, in characters.
const NAME: usize = 40;

/// A table and an action that belong to no event scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownPair {
    pub table: String,
    pub action: String,
    pub rows: u64,
    /// The latest of these rows.
    pub last_log_id: LogId,
}

/// Counts for a practice's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Misfits {
    /// Rows that were skipped because they are unreadable.
    pub unreadable_rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_unreadable: Option<LogId>,
    /// Rows without an id above 0 at the last count. They are included in the unreadable rows.
    pub without_ids: u64,
    /// Rows with an unreadable time, which is replaced by the time of the poll.
    pub unreadable_times: u64,
    /// The most recent pair comes first.
    pub unknown: Vec<UnknownPair>,
    /// Rows of further pairs.
    pub other_unknown: u64,
}

impl Misfits {
    pub fn add_unreadable(&mut self, log_id: LogId) {
        self.unreadable_rows += 1;
        self.last_unreadable = Some(log_id);
    }

    /// Records that `rows` have no id above 0, and `last`, the highest of these ids.
    ///
    /// Returns whether the number has grown.
    pub fn count_without_ids(&mut self, rows: u64, last: Option<LogId>) -> bool {
        let new = rows.saturating_sub(self.without_ids);
        self.without_ids = rows;
        self.unreadable_rows += new;
        if new > 0 {
            self.last_unreadable = last;
        }
        new > 0
    }

    pub fn add_unknown(&mut self, table: &str, action: &str, log_id: LogId) {
        let [table, action] = [table, action].map(|name| name.trim().chars().take(NAME).collect::<String>());
        let known = self.unknown.iter().position(|pair| pair.table == table && pair.action == action);
        let mut pair = match known {
            Some(at) => self.unknown.remove(at),
            None => UnknownPair { table, action, rows: 0, last_log_id: log_id },
        };
        pair.rows += 1;
        pair.last_log_id = log_id;
        self.unknown.insert(0, pair);
        if self.unknown.len() > MOST_PAIRS {
            self.other_unknown += self.unknown.pop().map_or(0, |pair| pair.rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_include_every_row_for_any_number_of_pairs() {
        let mut misfits = Misfits::default();
        for number in 0..100 {
            misfits.add_unknown(&format!("{number}{}", "ü".repeat(100)), "x", LogId(number));
            misfits.add_unknown("sessions ", "login", LogId(number));
        }
        assert_eq!(misfits.unknown.len(), MOST_PAIRS);
        let sessions = misfits.unknown.iter().find(|pair| pair.table == "sessions").unwrap();
        assert_eq!((sessions.rows, sessions.last_log_id), (100, LogId(99)));
        assert!(misfits.unknown.iter().all(|pair| pair.table.chars().count() <= NAME));
        let counted: u64 = misfits.unknown.iter().map(|pair| pair.rows).sum();
        assert_eq!(counted + misfits.other_unknown, 200);
    }
}
