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
/// Ids that come late split the ranges they lie in; room for that.
const MOST_SPLIT_GAPS: usize = 2 * MOST_GAPS;

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
    /// Rows that were passed because they could not be understood.
    #[serde(default)]
    pub unreadable: u64,
}

impl LogProgress {
    /// Nothing has been read yet of what lies above `id`.
    pub fn after(id: LogId) -> Self {
        Self { last_log_id: id, gaps: Vec::new(), unreadable: 0 }
    }

    /// Waits also for ids of these ranges (both ends included) that are not above `last_log_id`.
    pub fn wait_for(&mut self, ranges: &[(LogId, LogId)], first_seen: Timestamp) {
        let last = self.last_log_id;
        let below = ranges.iter().filter(|(from, _)| *from <= last);
        self.gaps.extend(below.map(|(from, to)| Gap { from: *from, to: last.min(*to), first_seen }));
        self.gaps.sort_unstable_by_key(|gap| gap.from);
        for gap in std::mem::take(&mut self.gaps) {
            match self.gaps.last_mut() {
                Some(before) if gap.from <= before.to => {
                    before.to = before.to.max(gap.to);
                    before.first_seen = before.first_seen.max(gap.first_seen);
                }
                _ => self.gaps.push(gap),
            }
        }
    }

    /// An id of a gap has been dealt with.
    ///
    /// `false`, and nothing changes, when that would split the gaps into too many.
    #[must_use]
    pub fn fill(&mut self, id: LogId) -> bool {
        let Some(at) = self.gaps.iter().position(|gap| (gap.from..=gap.to).contains(&id)) else {
            return true;
        };
        let splits = self.gaps[at].from < id && id < self.gaps[at].to;
        if splits && self.gaps.len() >= MOST_SPLIT_GAPS {
            return false;
        }
        let gap = self.gaps.remove(at);
        let left = Gap { to: LogId(id.0 - 1), ..gap };
        let right = Gap { from: LogId(id.0 + 1), ..gap };
        let parts = [left, right].into_iter().filter(|part| part.from <= part.to);
        self.gaps.splice(at..at, parts);
        true
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

    /// Lets go of gaps that no transaction can fill any more, if all that has come of them by `now` has been dealt with: of
    /// those that lie below `below`, or of all.
    pub fn forget_old_gaps(&mut self, now: Timestamp, below: Option<LogId>) {
        self.gaps.retain(|gap| {
            now.duration_since(gap.first_seen) <= GRACE || below.is_some_and(|below| below <= gap.to)
        });
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
        assert!([12, 7, 99].into_iter().all(|id| progress.fill(LogId(id))));
        assert_eq!(ranges(&progress), [(8, 8), (11, 11), (13, 13)]);
        assert!(progress.fill(LogId(8)));
        assert_eq!(ranges(&progress), [(11, 11), (13, 13)]);
    }

    #[test]
    fn a_gap_is_forgotten_only_after_the_longest_transaction() {
        let mut progress = LogProgress::after(LogId(0));
        assert!(progress.advance(LogId(2), at(0)) && progress.advance(LogId(4), at(60)));
        progress.forget_old_gaps(at(600), None);
        assert_eq!(ranges(&progress), [(1, 1), (3, 3)]);
        progress.forget_old_gaps(at(601), Some(LogId(1)));
        assert_eq!(ranges(&progress), [(1, 1), (3, 3)], "what came of it has not been dealt with yet");
        progress.forget_old_gaps(at(601), Some(LogId(2)));
        assert_eq!(ranges(&progress), [(3, 3)]);
        progress.forget_old_gaps(at(661), None);
        assert_eq!(ranges(&progress), []);
    }

    #[test]
    fn ids_that_come_late_split_gaps_only_as_far_as_there_is_room() {
        let mut progress = LogProgress::after(LogId(0));
        assert!(progress.advance(LogId(20_001), at(0)));
        let filled = (1..10_000).take_while(|n| progress.fill(LogId(2 * n))).count();
        assert_eq!((filled, progress.gaps.len()), (MOST_SPLIT_GAPS - 1, MOST_SPLIT_GAPS));
        assert!(progress.fill(LogId(1)), "what splits nothing still counts");
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
        progress.forget_old_gaps(at(601), None);
        assert!(progress.advance(LogId(progress.last_log_id.0 + 2), at(601)));
    }

    #[test]
    fn ranges_to_wait_for_are_cut_at_the_last_id_and_merged() {
        let mut progress = LogProgress::after(LogId(20));
        progress.wait_for(&[(LogId(15), LogId(16)), (LogId(18), LogId(25)), (LogId(21), LogId(21))], at(0));
        progress.wait_for(&[(LogId(5), LogId(5)), (LogId(16), LogId(18))], at(60));
        assert_eq!(ranges(&progress), [(5, 5), (15, 20)]);
        assert_eq!(progress.gaps[1].first_seen, at(60), "as long as the last of them");
    }
}
