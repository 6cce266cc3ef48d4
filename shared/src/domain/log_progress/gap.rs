//! Ranges of ids that were missing when a higher id was read.

use jiff::Timestamp;

use super::{WIDE, whole_second};
use crate::domain::ids::LogId;

/// The missing ids from `from` to `to`, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: LogId,
    pub to: LogId,
    /// When the gap was found or last partly filled.
    pub first_seen: Timestamp,
    /// The number of rows that had been read at the top by then.
    pub rows_before: u64,
    /// 0 if none of the ids is done.
    ///
    /// Otherwise the gap was joined from several and has this many done rows.
    pub seen: u64,
}

impl Gap {
    pub(super) fn new(from: LogId, to: LogId, first_seen: Timestamp, rows_before: u64) -> Self {
        Self { from, to, first_seen: whole_second(first_seen), rows_before, seen: 0 }
    }

    /// Whether the ids above the gap may be an island, however long ago they were read.
    pub fn is_wide(&self) -> bool {
        self.seen == 0 && self.to.0 - self.from.0 >= WIDE - 1
    }

    /// Joins this gap with the next one above it. All ids between them must be rows that are done.
    pub(super) fn join(&self, above: &Self) -> Option<Self> {
        let between = u64::try_from(above.from.0 - self.to.0 - 1).ok()?;
        (!self.is_wide() && !above.is_wide()).then(|| Self {
            from: self.from,
            to: above.to,
            first_seen: self.first_seen.max(above.first_seen),
            rows_before: self.rows_before.max(above.rows_before),
            seen: self.seen.saturating_add(above.seen).saturating_add(between),
        })
    }
}

/// Gaps as a short text: up to five numbers each, as differences from the gap before.
///
/// Trailing zeros are omitted.
pub(super) mod notation {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{super::notation, Gap};
    use crate::domain::ids::LogId;

    pub(crate) fn serialize<S: Serializer>(gaps: &[Gap], serializer: S) -> Result<S::Ok, S::Error> {
        let mut before = (0, 0, 0);
        let entries = gaps.iter().map(|gap| {
            let now = (gap.to.0, gap.first_seen.as_second(), gap.rows_before.cast_signed());
            let entry = [
                gap.from.0.wrapping_sub(before.0),
                gap.to.0 - gap.from.0,
                now.1 - before.1,
                now.2.wrapping_sub(before.2),
                gap.seen.cast_signed(),
            ];
            before = now;
            entry
        });
        notation::write(entries).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Gap>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let entries = notation::read::<5>(&text).ok_or_else(|| D::Error::custom("unreadable gaps"))?;
        let mut before = (0_i64, 0_i64, 0_i64);
        let gaps = entries.into_iter().map(|[skipped, length, seconds, rows, seen]| {
            let from = before.0.wrapping_add(skipped);
            before = (from.wrapping_add(length), before.1.wrapping_add(seconds), before.2.wrapping_add(rows));
            Some(Gap {
                from: LogId(from),
                to: LogId(before.0),
                first_seen: Timestamp::from_second(before.1).ok()?,
                rows_before: before.2.cast_unsigned(),
                seen: seen.cast_unsigned(),
            })
        });
        gaps.collect::<Option<_>>().ok_or_else(|| D::Error::custom("unreadable gaps"))
    }
}
