//! Fingerprints of rows that were read, to detect that the log has been replaced.

use std::collections::HashMap;

use jiff::Timestamp;

use super::whole_second;
use crate::domain::ids::LogId;

/// The number of latest rows that are anchors.
///
/// Of older rows there are two for each power of two of their age.
const NEWEST: usize = 8;
/// This many of the latest rows are never all missing by chance.
const MISSING: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    log_id: LogId,
    /// A fingerprint of the row's contents.
    print: u64,
    read_at: Timestamp,
}

/// Rows that were read, in reading order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors(Vec<Anchor>);

/// The current state of the log.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    /// The fingerprints of the anchors' rows that exist, by id.
    pub prints: HashMap<LogId, u64>,
    /// Whether there are rows up to the position.
    pub any_below: bool,
    /// Whether there are new rows above the position.
    pub any_above: bool,
}

impl Anchors {
    /// Adds a row that was just read. Rows at `ends` are kept.
    pub(super) fn add(&mut self, log_id: LogId, print: u64, now: Timestamp, ends: &[LogId]) {
        let now = whole_second(now);
        self.0.retain(|anchor| anchor.log_id != log_id);
        self.0.push(Anchor { log_id, print, read_at: now });
        let old = self.0.len().saturating_sub(NEWEST);
        let mut last = None;
        let mut index = 0;
        self.0.retain(|anchor| {
            index += 1;
            let age = now.duration_since(anchor.read_at).as_secs().max(0) + 2;
            if index > old || ends.contains(&anchor.log_id) {
                return true;
            }
            // Keep the oldest of each half of a power of two: if the youngest were kept, none would
            // grow old.
            let half = (age.ilog2(), age >> (age.ilog2() - 1));
            last.replace(half) != Some(half)
        });
    }

    pub fn ids(&self) -> impl Iterator<Item = LogId> {
        self.0.iter().map(|anchor| anchor.log_id)
    }

    /// Whether the row at `log_id` is the one that was read; `None` if it is not an anchor.
    pub fn agrees(&self, log_id: LogId, print: u64) -> Option<bool> {
        self.0.iter().find(|anchor| anchor.log_id == log_id).map(|anchor| anchor.print == print)
    }

    pub(super) fn keep_up_to(&mut self, id: LogId) {
        self.0.retain(|anchor| anchor.log_id <= id);
    }

    /// Returns the id after which the log started over, if it did.
    ///
    /// Called if a row at an end has changed or the row at `position` is missing. An empty log
    /// proves nothing, since programs clear logs. Neither do one or two missing rows, if others
    /// were added after them.
    pub fn restart(&self, position: LogId, seen: &Sighting) -> Option<LogId> {
        let found = |anchor: &Anchor| seen.prints.get(&anchor.log_id).map(|print| *print == anchor.print);
        let others = self.0.iter().filter(|anchor| found(anchor) == Some(false));
        let lowest_other = others.map(|anchor| anchor.log_id).min();
        if lowest_other.is_none() && !seen.any_below {
            return None;
        }
        let missing = self.0.iter().rev().take_while(|anchor| found(anchor).is_none()).count();
        if lowest_other.is_none() && missing < MISSING && seen.any_above {
            return None;
        }
        let end = lowest_other.map_or(position, |other| other.min(position));
        let same = self.0.iter().filter(|anchor| found(anchor) == Some(true) && anchor.log_id < end);
        Some(same.map(|anchor| anchor.log_id).max().unwrap_or_default())
    }
}

/// Anchors as text: each is three numbers: id, fingerprint, and when the row was read.
pub(super) mod notation {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{super::notation, Anchor, Anchors};
    use crate::domain::ids::LogId;

    pub(crate) fn serialize<S: Serializer>(anchors: &Anchors, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = |it: &Anchor| [it.log_id.0, it.print.cast_signed(), it.read_at.as_second()];
        notation::write(anchors.0.iter().map(entry)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Anchors, D::Error> {
        let text = String::deserialize(deserializer)?;
        let anchor = |[log_id, print, at]: [i64; 3]| {
            let read_at = Timestamp::from_second(at).ok()?;
            Some(Anchor { log_id: LogId(log_id), print: print.cast_unsigned(), read_at })
        };
        let entries = notation::read::<3>(&text).unwrap_or_default().into_iter().map(anchor);
        entries.collect::<Option<_>>().map(Anchors).ok_or_else(|| D::Error::custom("unreadable anchors"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Anchors of rows 1 to `rows`, read one per second; each row's fingerprint is its id.
    fn anchors(rows: i64) -> Anchors {
        let mut anchors = Anchors::default();
        (1..=rows).for_each(|id| anchors.add(LogId(id), id.cast_unsigned(), at(id), &[]));
        anchors
    }

    /// A log that has the rows `ids`, with the fingerprints that `print` returns.
    fn seen(
        anchors: &Anchors,
        ids: std::ops::RangeInclusive<i64>,
        position: i64,
        print: impl Fn(i64) -> u64,
    ) -> Sighting {
        let there = anchors.ids().filter(|id| ids.contains(&id.0));
        Sighting {
            prints: there.map(|id| (id, print(id.0))).collect(),
            any_below: !ids.is_empty() && *ids.start() <= position,
            any_above: *ids.end() > position,
        }
    }

    #[test]
    fn a_year_has_few_evenly_spaced_anchors() {
        let mut anchors = Anchors::default();
        for minute in 0..365 * 24 * 60 {
            anchors.add(LogId(minute), 7, at(minute * 60), &[]);
        }
        let ids: Vec<i64> = anchors.ids().map(|id| id.0).collect();
        assert!((25..=60).contains(&ids.len()), "{ids:?}");
        assert!(ids.ends_with(&[525_592, 525_593, 525_594, 525_595, 525_596, 525_597, 525_598, 525_599]));
        for pair in ids.windows(2) {
            let age = |id: i64| 525_599 - id;
            assert!(age(pair[0]) <= 8 * age(pair[1]).max(8), "{ids:?}");
        }
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)] // no rows
    fn a_restarted_log_is_distinguished_from_a_cleared_log() {
        let anchors = anchors(1_000);
        let own = |id: i64| id.cast_unsigned();
        let restart = |ids, print: &dyn Fn(i64) -> u64| {
            anchors.restart(LogId(1_000), &seen(&anchors, ids, 1_000, print))
        };
        assert_eq!(restart(1..=0, &own), None, "an empty log says nothing");
        assert_eq!(restart(1_001..=1_002, &own), None, "cleared, and continued");
        assert_eq!(restart(1..=3, &|_| 0), Some(LogId(0)), "truncated with its sequence");
        assert_eq!(restart(1..=1_500, &|_| 0), Some(LogId(0)), "and grown past the position");
        assert_eq!(restart(1..=998, &own), Some(LogId(998)), "restored");
        let restored = |id: i64| if id <= 500 { own(id) } else { 0 };
        let from = restart(1..=2_000, &restored).unwrap().0;
        assert!((100..=500).contains(&from), "restored, and grown past the position: {from}");
    }

    #[test]
    fn deleting_rows_one_by_one_is_not_a_restart() {
        let anchors = anchors(1_000);
        let mut log = seen(&anchors, 1..=1_001, 1_000, i64::cast_unsigned);
        log.prints.remove(&LogId(1_000));
        log.prints.remove(&LogId(999));
        assert_eq!(anchors.restart(LogId(1_000), &log), None);
        log.prints.remove(&LogId(998));
        assert_eq!(anchors.restart(LogId(1_000), &log), Some(LogId(997)), "three at once");
    }
}
