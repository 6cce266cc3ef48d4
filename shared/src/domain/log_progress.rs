//! How far a practice's log has been read.
//!
//! A sequence hands out id 7 before the transaction with id 6 commits, so the highest id seen is not the end of what has
//! been read: ids that were skipped are remembered and asked for again, until no transaction can still bring them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ids::LogId;

/// Longer than any transaction of the EMR: an id that is missing after this time was rolled back.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// Reading waits rather than remember more ranges than fit into one item of the store.
const MOST_GAPS: usize = 2_000;

/// Ids from `from` to `to`, both included, that were not there when a higher one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    pub from: LogId,
    pub to: LogId,
    pub first_seen: Timestamp,
}

/// Every id up to `last_log_id` is done with, but for the gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogProgress {
    pub last_log_id: LogId,
    /// Ascending, without overlap.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

impl LogProgress {
    /// Nothing has been read yet of what lies above `id`.
    pub fn after(id: LogId) -> Self {
        Self { last_log_id: id, gaps: Vec::new() }
    }

    /// Starts after `id`: what lies below it concerns nobody.
    pub fn skip_to(&mut self, id: LogId) {
        if id > self.last_log_id {
            self.last_log_id = id;
            self.gaps.clear();
        }
    }

    /// An id of a gap has been dealt with.
    pub fn fill(&mut self, id: LogId) {
        let Some(at) = self.gaps.iter().position(|gap| (gap.from..=gap.to).contains(&id)) else { return };
        let gap = self.gaps.remove(at);
        let left = Gap { to: LogId(id.0 - 1), ..gap };
        let right = Gap { from: LogId(id.0 + 1), ..gap };
        let parts = [left, right].into_iter().filter(|part| part.from <= part.to);
        self.gaps.splice(at..at, parts);
    }

    /// The next id above `last_log_id` that is there has been dealt with; those between are missing.
    ///
    /// `false`, and nothing changes, while too many gaps are open.
    #[must_use]
    pub fn advance(&mut self, id: LogId, now: Timestamp) -> bool {
        if id.0 > self.last_log_id.0 + 1 {
            if self.gaps.len() >= MOST_GAPS {
                return false;
            }
            let (from, to) = (LogId(self.last_log_id.0 + 1), LogId(id.0 - 1));
            self.gaps.push(Gap { from, to, first_seen: now });
        }
        self.last_log_id = self.last_log_id.max(id);
        true
    }

    /// Lets go of gaps that no transaction can fill any more.
    pub fn forget_old_gaps(&mut self, now: Timestamp) {
        self.gaps.retain(|gap| now.duration_since(gap.first_seen) <= GRACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn ranges(progress: &LogProgress) -> Vec<(i64, i64)> {
        progress.gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect()
    }

    #[test]
    fn skipped_ids_are_remembered_until_they_come() {
        let mut progress = LogProgress::after(LogId(5));
        for id in [6, 9, 10, 14] {
            assert!(progress.advance(LogId(id), at(0)));
        }
        assert_eq!(ranges(&progress), [(7, 8), (11, 13)]);
        progress.fill(LogId(12));
        progress.fill(LogId(7));
        progress.fill(LogId(99));
        assert_eq!(ranges(&progress), [(8, 8), (11, 11), (13, 13)]);
        progress.fill(LogId(8));
        assert_eq!(ranges(&progress), [(11, 11), (13, 13)]);
    }

    #[test]
    fn a_gap_is_forgotten_only_after_the_longest_transaction() {
        let mut progress = LogProgress::after(LogId(0));
        assert!(progress.advance(LogId(2), at(0)) && progress.advance(LogId(4), at(60)));
        progress.forget_old_gaps(at(600));
        assert_eq!(ranges(&progress), [(1, 1), (3, 3)]);
        progress.forget_old_gaps(at(601));
        assert_eq!(ranges(&progress), [(3, 3)]);
    }

    #[test]
    fn reading_waits_when_too_many_gaps_are_open() {
        let mut progress = LogProgress::after(LogId(0));
        let read = (1..10_000).take_while(|n| progress.advance(LogId(2 * n), at(0))).count();
        assert_eq!(read, MOST_GAPS);
        assert!(
            progress.advance(LogId(progress.last_log_id.0 + 1), at(0)),
            "an id without a gap still counts"
        );
        progress.forget_old_gaps(at(601));
        assert!(progress.advance(LogId(progress.last_log_id.0 + 2), at(601)));
    }

    #[test]
    fn a_later_start_drops_what_lies_below_it_and_an_earlier_one_changes_nothing() {
        let mut progress = LogProgress::after(LogId(0));
        assert!(progress.advance(LogId(3), at(0)));
        let before = progress.clone();
        progress.skip_to(LogId(2));
        assert_eq!(progress, before);
        progress.skip_to(LogId(8));
        assert_eq!((progress.last_log_id, progress.gaps.len()), (LogId(8), 0));
    }
}
