//! How far a practice's log has been read: a cursor with gaps.
//!
//! A sequence may assign id 7 before the transaction with id 6 commits, so having read the highest
//! id does not mean having read all ids. Skipped ids are *gaps*, which are read again. A real log
//! does more than a sequence:
//!
//! - A row with an id far above all others (a typing error, a row from another system) opens a
//!   *wide* gap. Rows at the old position fill it from below, so both are read. The rows above it
//!   are an *island* until it is clear that the log continues there.
//! - Ids with a cache or an increment leave many gaps. Old gaps with few rows between them are
//!   joined into one, which counts those rows: it is read again, as a whole, only if the count
//!   differs.
//! - A log can be restored from a backup or start over. [`Anchors`] detect this; then a new *epoch*
//!   starts, so that no event id is used twice.

mod anchors;
mod gap;
mod misfits;
#[cfg(test)]
mod model;
mod notation;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use anchors::{Anchors, Sighting};
pub use gap::Gap;
pub use misfits::{Misfits, UnknownPair};

use super::ids::LogId;

/// The age up to which a gap is read at every poll; older gaps are read once a minute.
///
/// It exceeds the duration of nearly all transactions of the EMR.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// The age up to which a gap is kept.
///
/// A sequence's cache belongs to a session, which may use the ids of its block hours later.
const GAP_RETENTION: SignedDuration = SignedDuration::from_hours(24);
/// The number of rows above a gap before it may be dropped: until then those rows may be an island.
const PASSED_BY: u64 = 1_000;
/// The number of ids from which a gap is wide; no sequence skips as many.
pub const WIDE: i64 = 10_000;
/// How many rows above a wide gap, with none below it meanwhile, move the position there.
const SETTLED_ROWS: u64 = 20;
/// The most gaps of one log; they must fit into one item of the store.
const MOST_GAPS: usize = 500;
/// The number of newest gaps that are never joined: most late rows fill these.
const EXACT: usize = 200;
/// The most ids, besides the highest, at which the log is compared with the rows that were read.
const MOST_ENDS: usize = 40;
/// The most rows in a joined gap; all are sent again if one more appears.
/// If that is too few, the limit grows up to this factor.
const MOST_SEEN: u64 = 200;
const MOST_GROWTH: u64 = 64;

/// The progress of reading a log: every id up to `top` is done, except those in gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogProgress {
    /// The highest id that has been read; if there is an island, its highest id.
    pub top: LogId,
    /// In ascending order, without overlaps.
    #[serde(with = "gap::notation")]
    pub gaps: Vec<Gap>,
    /// The total number of rows that were read at the top.
    pub rows: u64,
    /// Up to here, ids between gaps are not necessarily rows.
    ///
    /// Gaps up to this id may have been dropped or never recorded.
    pub incomplete_to: LogId,
    #[serde(with = "anchors::notation")]
    pub anchors: Anchors,
    /// How often the log has started over.
    #[serde(default)]
    pub epoch: u32,
    /// The highest id in the log when the epoch started; 0 in the first epoch.
    #[serde(default)]
    pub epoch_floor: LogId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_since: Option<Timestamp>,
    /// Gaps that were dropped too early, for lack of space.
    #[serde(default)]
    pub dropped_gaps: u64,
    #[serde(flatten)]
    pub misfits: Misfits,
}

impl LogProgress {
    /// Starts after `id`, with nothing read yet.
    pub fn after(id: LogId) -> Self {
        Self { top: id, incomplete_to: id, ..Self::default() }
    }

    /// Continues after `id`, keeping what is known about the log.
    #[must_use]
    pub fn moved_to(self, id: LogId) -> Self {
        Self { top: id, incomplete_to: id, gaps: Vec::new(), ..self }
    }

    /// Starts the next epoch after `id`; `floor` is the highest id in the log.
    ///
    /// Ids missing below `id` are still awaited.
    #[must_use]
    pub fn restarted(mut self, id: LogId, floor: LogId, now: Timestamp) -> Self {
        self.anchors.keep_up_to(id);
        self.gaps.retain(|gap| gap.from < id);
        if let Some(last) = self.gaps.last_mut().filter(|gap| id <= gap.to) {
            last.to = LogId(id.0 - 1);
            last.seen = 0;
        }
        // Ids above belong to the previous epoch.
        self.incomplete_to = self.incomplete_to.min(id);
        self.epoch += 1;
        self.epoch_floor = floor;
        self.epoch_since = Some(whole_second(now));
        self.top = id;
        self
    }

    /// Adds gaps for the ids of these ranges (inclusive) that are not above `top`.
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

    /// Marks an id in a gap as done. The rest of the gap counts as new, since its ids are in use.
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

    /// Marks the next existing id above `top` as done; the ids in between become a gap.
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

    /// Marks everything in the joined gap that starts here to be read again.
    pub fn reopen(&mut self, from: LogId, now: Timestamp) {
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.from == from) {
            *gap = Gap::new(gap.from, gap.to, now, self.rows);
        }
    }

    /// Returns the gaps to read now: all, or only those that are likely to be filled.
    pub fn gaps_to_read(&self, all: bool, now: Timestamp) -> impl Iterator<Item = &Gap> {
        self.gaps
            .iter()
            .filter(move |gap| all || gap.is_wide() || now.duration_since(gap.first_seen) <= GRACE)
    }

    /// Drops gaps that can no longer be filled: those below `below`, or all.
    ///
    /// All of these must have been read before.
    pub fn drop_old_gaps(&mut self, now: Timestamp, below: Option<LogId>) {
        let rows = self.rows;
        let old = |gap: &Gap| {
            let read = below.is_none_or(|below| gap.to < below);
            let age = now.duration_since(gap.first_seen);
            read && !gap.is_wide() && age > GAP_RETENTION && rows.saturating_sub(gap.rows_before) >= PASSED_BY
        };
        let highest = self.gaps.iter().filter(|gap| old(gap)).map(|gap| gap.to).max();
        self.incomplete_to = self.incomplete_to.max(highest.unwrap_or_default());
        self.gaps.retain(|gap| !old(gap));
    }

    /// Reduces the gaps so that they fit into the store.
    ///
    /// If rows of higher gaps are pending, only gaps below `below` are joined, because a joined gap
    /// must know all of its rows.
    pub fn compact(&mut self, below: Option<LogId>) {
        if self.gaps.len() <= MOST_GAPS {
            return;
        }
        let mut most = MOST_SEEN;
        while self.gaps.len() > MOST_GAPS && most <= MOST_SEEN * MOST_GROWTH {
            self.join_gaps(below, most);
            most *= 4;
        }
        while below.is_none() && self.gaps.len() > MOST_GAPS {
            // The ids follow no order: there are too many gaps to wait for.
            let oldest = |gap: &Gap| (gap.is_wide(), gap.first_seen, gap.from);
            let Some((at, _)) = self.gaps.iter().enumerate().min_by_key(|(_, gap)| oldest(gap)) else {
                break;
            };
            let gap = self.gaps.remove(at);
            self.incomplete_to = self.incomplete_to.max(gap.to);
            self.dropped_gaps += 1;
        }
    }

    /// Joins older gaps into ones with at most `most` rows.
    fn join_gaps(&mut self, below: Option<LogId>, most: u64) {
        let exact_from = self.gaps.len().saturating_sub(EXACT);
        for (index, gap) in std::mem::take(&mut self.gaps).into_iter().enumerate() {
            let joinable = index < exact_from && below.is_none_or(|below| gap.to < below);
            let joined = self.gaps.last().filter(|before| joinable && before.to > self.incomplete_to);
            match joined.and_then(|before| before.join(&gap)).filter(|joined| joined.seen <= most) {
                Some(joined) => {
                    self.gaps.pop();
                    self.gaps.push(joined);
                }
                None => self.gaps.push(gap),
            }
        }
    }

    /// Stores the fingerprint of a row that was just read.
    pub fn remember(&mut self, id: LogId, print: u64, now: Timestamp) {
        let ends = self.ends();
        self.anchors.add(id, print, now, &ends);
    }

    /// Returns the ids after which the log may continue: those below wide gaps, and the highest.
    pub fn ends(&self) -> Vec<LogId> {
        let below = self.gaps.iter().filter(|gap| gap.is_wide()).map(|gap| LogId(gap.from.0 - 1));
        below.take(MOST_ENDS).chain([self.top]).filter(|id| id.0 > 0).collect()
    }

    /// Whether the rows at the ends are the ones that were read, as far as known.
    ///
    /// `prints` has the fingerprints of the existing rows. An island that no longer exists was a
    /// mistake and is forgotten.
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

    /// Makes the ids of the island that ends here missing again.
    fn forget_island(&mut self, end: LogId) {
        let Some(below) = self.gaps.iter().rposition(|gap| gap.is_wide() && gap.to < end) else { return };
        let above = self.gaps.iter().position(|gap| gap.from > end);
        if let Some(above) = above {
            self.gaps[below].to = self.gaps[above].to;
            self.gaps.drain(below + 1..=above);
        } else {
            self.top = LogId(self.gaps[below].from.0 - 1);
            self.gaps.truncate(below);
        }
    }

    /// Returns where the log continues: its highest id, not counting islands.
    pub fn position(&self) -> LogId {
        self.unsettled().next().map_or(self.top, |gap| LogId(gap.from.0 - 1))
    }

    /// Returns the id below which every id is done.
    pub fn done_below(&self) -> LogId {
        self.gaps.first().map_or(self.top, |gap| gap.from)
    }

    /// Returns the ranges (inclusive) of rows far above the position.
    pub fn islands(&self) -> Vec<(LogId, LogId)> {
        let from = self.unsettled().map(|gap| LogId(gap.to.0 + 1));
        let to = self.unsettled().skip(1).map(|gap| LogId(gap.from.0 - 1));
        from.zip(to.chain([self.top])).collect()
    }

    fn unsettled(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.is_wide() && self.rows - gap.rows_before < SETTLED_ROWS)
    }
}

/// Truncates to whole seconds, as the store does.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
