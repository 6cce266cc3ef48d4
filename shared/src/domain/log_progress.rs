//! How far a practice's log has been read: a cursor with gaps.
//!
//! A sequence hands out id 7 before the transaction with id 6 commits, so the highest id read is not the end of what has been read.
//! Skipped ids are *gaps*, which are read again. A sequence can do no more than that. A log can:
//!
//! - A row with an id far above all others (a typing error, a row of another system) opens a *wide* gap. Rows at the old position fill
//!   it from below, so both are read; the rows above it are an *island* until they are clearly where the log goes on.
//! - Ids with a cache or an increment leave many gaps. Old gaps between which few rows lie become one, which counts those rows: it is
//!   read again, as a whole, only when the count differs.
//! - A log can be restored from a backup or begin anew. [`Anchors`] tell; a new *epoch* begins, so that no event id is used twice.

mod anchors;
mod gap;
mod misfits;
#[cfg(test)]
mod model;
mod notation;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use anchors::{Anchors, Sighting};
pub use gap::Gap;
pub use misfits::{Misfits, UnknownPair};

use super::ids::LogId;

/// Longer than nearly all transactions of the EMR. A gap this old is read once a minute instead of at each poll.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// A sequence's cache belongs to a session, which may use the ids of its block hours later.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// A gap is dropped only after so many rows with higher ids: until then the higher ids may be strays.
const PASSED_BY: u64 = 1_000;
/// A gap of so many ids is wide; no sequence skips as many.
pub const WIDE: i64 = 10_000;
/// Rows above a wide gap, without one below it meanwhile, that make their place the position of the log.
const SETTLED_ROWS: u64 = 20;
/// Most gaps of one log; they must fit into one item of the store.
const MOST_GAPS: usize = 500;
/// The newest gaps stay exact when gaps are joined: most late rows fill these.
const EXACT: usize = 200;
/// Most rows in a joined gap, all of which are sent again when one more appears.
const MOST_SEEN: u64 = 500;

/// Every id up to `top` is done with, but for the gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogProgress {
    /// The highest id that has been read, that of an island if there is one.
    pub top: LogId,
    /// Ascending, without overlap.
    #[serde(with = "gap::notation")]
    pub gaps: Vec<Gap>,
    /// Rows that came at the top, ever.
    pub rows: u64,
    /// No gap up to here was kept to its end: ids between gaps need not be rows.
    pub incomplete_to: LogId,
    #[serde(with = "anchors::notation")]
    pub anchors: Anchors,
    /// How often the log began anew.
    #[serde(default)]
    pub epoch: u32,
    /// The highest id that was there when the epoch began; 0 in the first.
    #[serde(default)]
    pub epoch_floor: LogId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_since: Option<Timestamp>,
    /// Gaps that were dropped too early, for want of room.
    #[serde(default)]
    pub dropped_gaps: u64,
    #[serde(flatten)]
    pub misfits: Misfits,
}

impl LogProgress {
    /// Nothing has been read yet of what lies above `id`.
    pub fn after(id: LogId) -> Self {
        Self { top: id, incomplete_to: id, ..Self::default() }
    }

    /// Goes on after `id`, with what is known of the log.
    #[must_use]
    pub fn moved_to(self, id: LogId) -> Self {
        Self { top: id, incomplete_to: id, gaps: Vec::new(), ..self }
    }

    /// Begins the next epoch after `id`. `floor`: the highest id there is. What is missing below `id` may still be missing.
    #[must_use]
    pub fn restarted(mut self, id: LogId, floor: LogId, now: Timestamp) -> Self {
        self.anchors.keep_up_to(id);
        self.gaps.retain(|gap| gap.from < id);
        if let Some(last) = self.gaps.last_mut().filter(|gap| id <= gap.to) {
            last.to = LogId(id.0 - 1);
            last.seen = 0;
        }
        self.epoch += 1;
        self.epoch_floor = floor;
        self.epoch_since = Some(whole_second(now));
        self.top = id;
        self
    }

    /// Waits also for ids of these ranges (both ends included) that are not above `top`.
    pub fn wait_for(&mut self, ranges: &[(LogId, LogId)], first_seen: Timestamp) {
        let below = ranges.iter().filter(|(from, _)| *from <= self.top);
        let new: Vec<Gap> =
            below.map(|(from, to)| Gap::new(*from, self.top.min(*to), first_seen, self.rows)).collect();
        self.gaps.extend(new);
        self.gaps.sort_unstable_by_key(|gap| gap.from);
        for gap in std::mem::take(&mut self.gaps) {
            match self.gaps.last_mut() {
                Some(before) if gap.from <= before.to => {
                    before.to = before.to.max(gap.to);
                    before.first_seen = before.first_seen.max(gap.first_seen);
                    before.seen = 0;
                }
                _ => self.gaps.push(gap),
            }
        }
    }

    /// An id of a gap has been dealt with. What is left of the gap is as good as new: its ids are in use.
    pub fn fill(&mut self, id: LogId, now: Timestamp) {
        let at = self.gaps.partition_point(|gap| gap.to < id);
        let Some(gap) = self.gaps.get_mut(at).filter(|gap| gap.from <= id) else { return };
        if gap.seen > 0 {
            gap.seen += 1;
            return;
        }
        let (from, to) = (gap.from, gap.to);
        let left = (from < id).then(|| Gap::new(from, LogId(id.0 - 1), now, self.rows));
        let right = (id < to).then(|| Gap::new(LogId(id.0 + 1), to, now, self.rows));
        self.gaps.splice(at..=at, left.into_iter().chain(right));
    }

    /// The next id above `top` that is there has been dealt with; those between are missing.
    pub fn advance(&mut self, id: LogId, now: Timestamp) {
        if id <= self.top {
            return;
        }
        if id.0 - 1 > self.top.0 {
            self.gaps.push(Gap::new(LogId(self.top.0 + 1), LogId(id.0 - 1), now, self.rows));
        }
        self.top = id;
        self.rows += 1;
    }

    /// Everything in the joined gap that begins here is read again.
    pub fn reopen(&mut self, from: LogId, now: Timestamp) {
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.from == from) {
            *gap = Gap::new(gap.from, gap.to, now, self.rows);
        }
    }

    /// The gaps that are to be read now: all, or only those that are likely to be filled.
    pub fn gaps_to_read(&self, all: bool, now: Timestamp) -> impl Iterator<Item = &Gap> {
        self.gaps
            .iter()
            .filter(move |gap| all || gap.is_wide() || now.duration_since(gap.first_seen) <= GRACE)
    }

    /// Drops gaps that nothing can fill any more, after all gaps have been read: those below `below`, or all.
    pub fn drop_old_gaps(&mut self, now: Timestamp, below: Option<LogId>) {
        let rows = self.rows;
        let old = |gap: &Gap| {
            let read = below.is_none_or(|below| gap.to < below);
            let age = now.duration_since(gap.first_seen);
            read && !gap.is_wide() && age > KEPT_FOR && rows.saturating_sub(gap.rows_before) >= PASSED_BY
        };
        let highest = self.gaps.iter().filter(|gap| old(gap)).map(|gap| gap.to).max();
        self.incomplete_to = self.incomplete_to.max(highest.unwrap_or_default());
        self.gaps.retain(|gap| !old(gap));
    }

    /// Makes the gaps fit into the store again.
    pub fn compact(&mut self) {
        if self.gaps.len() <= MOST_GAPS {
            return;
        }
        let exact_from = self.gaps.len() - EXACT;
        for (index, gap) in std::mem::take(&mut self.gaps).into_iter().enumerate() {
            let joined =
                self.gaps.last().filter(|before| index < exact_from && before.to > self.incomplete_to);
            match joined.and_then(|before| before.join(&gap)).filter(|joined| joined.seen <= MOST_SEEN) {
                Some(joined) => {
                    self.gaps.pop();
                    self.gaps.push(joined);
                }
                None => self.gaps.push(gap),
            }
        }
        while self.gaps.len() > MOST_GAPS {
            // Ids that follow no order: more than anybody can wait for.
            let oldest = |gap: &Gap| (gap.is_wide(), gap.first_seen, gap.from);
            let Some((at, _)) = self.gaps.iter().enumerate().min_by_key(|(_, gap)| oldest(gap)) else {
                break;
            };
            let gap = self.gaps.remove(at);
            self.incomplete_to = self.incomplete_to.max(gap.to);
            self.dropped_gaps += 1;
        }
    }

    /// Takes up what a row says that has just been dealt with.
    pub fn remember(&mut self, id: LogId, print: u64, now: Timestamp) {
        let ends = self.ends();
        self.anchors.add(id, print, now, &ends);
    }

    /// Ids after which the log may go on: those below a wide gap, and the highest.
    pub fn ends(&self) -> Vec<LogId> {
        let below = self.gaps.iter().filter(|gap| gap.is_wide()).map(|gap| LogId(gap.from.0 - 1));
        below.chain([self.top]).filter(|id| id.0 > 0).collect()
    }

    /// Whether the rows at the ends are those that were read, as far as is known; `prints` of those that are there. An island that
    /// is gone was a mistake, and is forgotten.
    pub fn is_same_log(&mut self, prints: &HashMap<LogId, u64>, now: Timestamp) -> bool {
        let position = self.position();
        for end in self.ends() {
            match prints.get(&end) {
                Some(print) => match self.anchors.agrees(end, *print) {
                    Some(true) => (),
                    Some(false) => return false,
                    None => self.remember(end, *print, now),
                },
                None if end == position => return false,
                None if position < end => self.forget_island(end),
                None => (),
            }
        }
        true
    }

    /// The ids of the island that ends here are missing again.
    fn forget_island(&mut self, end: LogId) {
        let Some(below) = self.gaps.iter().rposition(|gap| gap.is_wide() && gap.to < end) else { return };
        let above = self.gaps.iter().position(|gap| gap.from > end);
        match above {
            Some(above) => {
                self.gaps[below].to = self.gaps[above].to;
                self.gaps.drain(below + 1..=above);
            }
            None => {
                self.top = LogId(self.gaps[below].from.0 - 1);
                self.gaps.truncate(below);
            }
        }
    }

    /// Where the log goes on: its highest id, leaving out islands.
    pub fn position(&self) -> LogId {
        self.unsettled().next().map_or(self.top, |gap| LogId(gap.from.0 - 1))
    }

    /// Rows far above the position: ranges, both ends included.
    pub fn islands(&self) -> Vec<(LogId, LogId)> {
        let from = self.unsettled().map(|gap| LogId(gap.to.0 + 1));
        let to = self.unsettled().skip(1).map(|gap| LogId(gap.from.0 - 1));
        from.zip(to.chain([self.top])).collect()
    }

    fn unsettled(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.is_wide() && self.rows - gap.rows_before < SETTLED_ROWS)
    }
}

/// The store keeps seconds.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
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

    fn stored(progress: &LogProgress) -> usize {
        let text = serde_json::to_string(progress).unwrap();
        assert_eq!(&serde_json::from_str::<LogProgress>(&text).unwrap(), progress);
        text.len()
    }

    #[test]
    fn skipped_ids_are_remembered_until_they_come() {
        let mut progress = LogProgress::after(LogId(5));
        for id in [6, 9, 10, 14] {
            progress.advance(LogId(id), at(0));
        }
        assert_eq!(ranges(&progress), [(7, 8), (11, 13)]);
        [12, 7, 99].into_iter().for_each(|id| progress.fill(LogId(id), at(1)));
        assert_eq!(ranges(&progress), [(8, 8), (11, 11), (13, 13)]);
        progress.fill(LogId(8), at(2));
        assert_eq!(ranges(&progress), [(11, 11), (13, 13)]);
    }

    #[test]
    fn a_gap_is_dropped_only_after_a_day_and_a_thousand_rows_above_it() {
        let mut progress = LogProgress::after(LogId(0));
        let day = 24 * 3600;
        for id in [2, 4] {
            progress.advance(LogId(id), at(0));
        }
        progress.drop_old_gaps(at(2 * day), None);
        assert_eq!(ranges(&progress), [(1, 1), (3, 3)], "what lies above them may be strays");
        (5..1_004).for_each(|id| progress.advance(LogId(id), at(0)));
        progress.drop_old_gaps(at(day), None);
        assert_eq!(ranges(&progress), [(1, 1), (3, 3)]);
        progress.drop_old_gaps(at(day + 1), Some(LogId(1)));
        assert_eq!(ranges(&progress), [(1, 1), (3, 3)], "what came of it has not been dealt with yet");
        progress.drop_old_gaps(at(day + 1), Some(LogId(2)));
        assert_eq!(ranges(&progress), [(3, 3)]);
        progress.advance(LogId(1_004), at(0));
        progress.drop_old_gaps(at(day + 1), None);
        assert_eq!((ranges(&progress), progress.incomplete_to), (vec![], LogId(3)));
    }

    #[test]
    fn a_block_of_ids_in_use_is_as_good_as_new_with_each_row() {
        let mut progress = LogProgress::after(LogId(0));
        progress.advance(LogId(1_001), at(0));
        for day in 1..30 {
            progress.fill(LogId(day), at(day * 24 * 3600));
            (0..1_000).for_each(|n| progress.advance(LogId(1_000 * (day + 1) + n), at(0)));
            progress.drop_old_gaps(at((day + 1) * 24 * 3600 - 1), None);
            assert_eq!(ranges(&progress)[0], (day + 1, 1_000));
        }
    }

    #[test]
    fn gaps_are_read_at_each_poll_for_ten_minutes_and_then_once_a_minute() {
        let mut progress = LogProgress::after(LogId(0));
        progress.advance(LogId(2), at(0));
        progress.advance(LogId(20_000), at(0));
        let read = |all, now| progress.gaps_to_read(all, at(now)).map(|gap| gap.from.0).collect::<Vec<_>>();
        assert_eq!(read(false, 600), [1, 3]);
        assert_eq!(read(false, 601), [3], "the position's is read always");
        assert_eq!(read(true, 601), [1, 3]);
    }

    #[test]
    fn a_stray_id_is_an_island_and_the_log_goes_on_below_it() {
        let mut progress = LogProgress::after(LogId(100));
        progress.advance(LogId(101), at(0));
        progress.advance(LogId(i64::MAX), at(0));
        assert_eq!(
            (progress.position(), progress.islands()),
            (LogId(101), vec![(LogId(i64::MAX), LogId(i64::MAX))])
        );
        progress.fill(LogId(103), at(5));
        assert_eq!((progress.position(), &ranges(&progress)[..1]), (LogId(103), &[(102, 102)][..]));
        (104..3_000).for_each(|id| progress.fill(LogId(id), at(10)));
        progress.drop_old_gaps(at(1_000 * 24 * 3600), None);
        assert_eq!(progress.position(), LogId(2_999));
        assert_eq!(ranges(&progress)[1], (3_000, i64::MAX - 1), "however long ago");
        assert!(stored(&progress) < 400);
    }

    #[test]
    fn a_log_that_goes_on_above_a_jump_has_its_position_there() {
        let mut progress = LogProgress::after(LogId(100));
        (1..20).for_each(|id| progress.advance(LogId(1_000_000 + id), at(0)));
        assert_eq!(
            (progress.position(), progress.islands()),
            (LogId(100), vec![(LogId(1_000_001), LogId(1_000_019))])
        );
        progress.advance(LogId(1_000_020), at(0));
        assert_eq!((progress.position(), progress.islands()), (LogId(1_000_020), vec![]));
        assert_eq!(ranges(&progress), [(101, 1_000_000)], "rows at the old position are read all the same");
        progress.fill(LogId(101), at(0));
        assert_eq!(progress.position(), LogId(101), "it goes on where the last row came");
    }

    #[test]
    fn an_island_that_is_deleted_is_no_new_beginning_and_its_ids_are_missing_again() {
        let mut progress = LogProgress::after(LogId(0));
        for id in [1, 500_000, 900_000, 900_002] {
            progress.advance(LogId(id), at(0));
            progress.remember(LogId(id), 7, at(0));
        }
        assert_eq!(progress.ends(), [1, 500_000, 900_002].map(LogId));
        let there = |ids: &[i64]| ids.iter().map(|id| (LogId(*id), 7)).collect();
        assert!(progress.is_same_log(&there(&[1, 500_000, 900_002]), at(1)));
        assert!(progress.is_same_log(&there(&[1, 900_002]), at(1)));
        assert_eq!(
            (ranges(&progress), progress.islands()),
            (vec![(2, 899_999), (900_001, 900_001)], vec![(LogId(900_000), LogId(900_002))])
        );
        assert!(progress.is_same_log(&there(&[1]), at(1)));
        assert_eq!((ranges(&progress), progress.top), (vec![], LogId(1)));
        assert!(!progress.is_same_log(&there(&[]), at(1)));
    }

    #[test]
    fn a_new_epoch_keeps_what_is_missing_below_its_beginning() {
        let mut progress = LogProgress::after(LogId(0));
        for id in [2, 5, 9] {
            progress.advance(LogId(id), at(0));
            progress.remember(LogId(id), 0, at(0));
        }
        let anew = progress.restarted(LogId(5), LogId(7), at(60));
        assert_eq!(
            (ranges(&anew), anew.top, anew.epoch, anew.epoch_floor),
            (vec![(1, 1), (3, 4)], LogId(5), 1, LogId(7))
        );
        assert_eq!(anew.anchors.ids().collect::<Vec<_>>(), [LogId(2), LogId(5)]);
    }

    /// Reads ids one after the other, and makes them fit after every hundredth.
    fn read(ids: impl Iterator<Item = i64>) -> (LogProgress, usize) {
        let (mut progress, mut largest) = (LogProgress::after(LogId(0)), 0);
        for (number, id) in ids.enumerate() {
            let now = at(1_800_000_000 + i64::try_from(number).unwrap() / 10);
            progress.advance(LogId(id), now);
            progress.remember(LogId(id), u64::MAX / 3, now);
            if number % 100 == 0 {
                progress.compact();
                largest = largest.max(stored(&progress));
            }
        }
        progress.compact();
        (progress, largest)
    }

    #[test]
    fn ids_with_an_increment_or_a_cache_or_holes_fit_into_a_small_item_and_nothing_is_dropped() {
        for step in [2, 3, 10, 32, 1_000, 9_999] {
            let (progress, largest) = read((1..=20_000).map(|n| n * step));
            assert!(largest < 8_000, "steps of {step}: {largest} bytes");
            assert_eq!((progress.dropped_gaps, progress.top), (0, LogId(20_000 * step)), "{step}");
            assert_eq!(progress.position(), progress.top, "{step}");
        }
        let (progress, largest) =
            read((1..=200_000_i64).filter(|n| n.wrapping_mul(2_654_435_761) >> 7 & 3 != 0));
        assert!(largest < 10_000 && progress.dropped_gaps == 0, "{largest} bytes");
    }

    #[test]
    fn the_worst_ids_fit_into_one_item_and_what_is_dropped_is_counted() {
        let mut id = 0;
        let steps = (0..3_000_i64).map(|n| {
            id += 3_000_000_000_000_000 - n * 1_000_003;
            id
        });
        let (mut progress, largest) = read(steps);
        assert!(progress.dropped_gaps > 0);
        for number in 0..100 {
            let name = "\u{1f9b7}".repeat(99);
            progress.misfits.add_unknown(&format!("{number}{name}"), &name, LogId(i64::MAX));
        }
        let size = largest.max(stored(&progress));
        assert!(size < 40_000, "{size} bytes of DynamoDB's 400 KB");
    }

    #[test]
    fn a_joined_gap_knows_its_rows_and_is_read_again_as_a_whole() {
        let (mut progress, _) = read((1..=3_000).map(|n| n * 10));
        let joined: Vec<Gap> = progress.gaps.iter().filter(|gap| gap.seen > 0).copied().collect();
        assert!(!joined.is_empty() && progress.gaps.len() <= MOST_GAPS);
        for gap in &joined {
            let rows = (gap.from.0..=gap.to.0).filter(|id| id % 10 == 0).count();
            assert_eq!(gap.seen, rows as u64, "{gap:?}");
        }
        progress.reopen(joined[0].from, at(0));
        assert_eq!(progress.gaps.iter().find(|gap| gap.from == joined[0].from).unwrap().seen, 0);
    }

    #[test]
    fn ids_above_what_was_given_up_are_joined_only() {
        let mut progress = LogProgress::after(LogId(1_000_000));
        let ranges: Vec<(LogId, LogId)> =
            (0..600).map(|n| (LogId(100 + 2 * n), LogId(100 + 2 * n))).collect();
        progress.wait_for(&ranges, at(0));
        progress.compact();
        assert!(progress.gaps.iter().all(|gap| gap.seen == 0), "ids between them need not have been read");
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
