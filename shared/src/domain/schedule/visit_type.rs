//! What a visit type asks for.

use jiff::civil::Date;

use super::{Interval, interval::overlapping, merge};
use crate::domain::ids::RoomId;

/// The rules of one visit type, as they apply to one provider.
#[derive(Clone, Debug, Default)]
pub struct VisitTypeRules {
    pub active: bool,
    /// Whether the provider takes visits of this type.
    pub provider_allowed: bool,
    /// Minutes the provider needs before and after.
    pub buffer_before: i64,
    pub buffer_after: i64,
    /// The active rooms, one of which it needs; `None` when it needs none.
    pub rooms: Option<Vec<Room>>,
}

impl VisitTypeRules {
    /// The longest buffer the schema allows, in minutes.
    pub const MAX_BUFFER: i64 = 240;
}

/// A room and its blocking visits.
#[derive(Clone, Debug)]
pub struct Room {
    id: RoomId,
    busy: Vec<Interval>,
    /// The dates of its visits, ascending.
    dates: Vec<Date>,
}

/// One blocking visit in a room.
#[derive(Clone, Copy, Debug)]
pub struct RoomVisit {
    pub room: RoomId,
    /// The local date it begins on.
    pub date: Date,
    pub visit: Interval,
}

impl Room {
    /// A room with those of the visits that are in it.
    pub fn new(id: RoomId, visits: &[RoomVisit]) -> Self {
        let own = || visits.iter().filter(|visit| visit.room == id);
        let mut dates: Vec<Date> = own().map(|visit| visit.date).collect();
        dates.sort_unstable();
        Self { id, busy: merge(own().map(|visit| visit.visit).collect()), dates }
    }

    fn visits_on(&self, date: Date) -> usize {
        self.dates.partition_point(|it| *it <= date) - self.dates.partition_point(|it| *it < date)
    }
}

/// The free room with the fewest visits that day, of those the one with the lowest id; or when the rooms are taken. One of the
/// `avoided` only if no other is free.
pub(super) fn choose(
    rooms: &[Room],
    date: Date,
    visit: Interval,
    avoided: &[RoomId],
) -> Result<RoomId, Vec<Interval>> {
    let free = rooms.iter().filter(|room| overlapping(&room.busy, visit).is_empty());
    free.min_by_key(|room| (avoided.contains(&room.id), room.visits_on(date), room.id))
        .map(|room| room.id)
        .ok_or_else(|| merge(rooms.iter().flat_map(|room| overlapping(&room.busy, visit)).copied().collect()))
}
