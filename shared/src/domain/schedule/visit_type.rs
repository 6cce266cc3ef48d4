//! The requirements of a visit type.

use jiff::civil::Date;

use super::{Interval, interval::overlapping, merge};
use crate::domain::ids::RoomId;

/// The rules of a visit type, as they apply to one provider.
#[derive(Clone, Debug, Default)]
pub struct VisitTypeRules {
    pub active: bool,
    /// Whether the provider is allowed for this visit type.
    pub provider_allowed: bool,
    /// Minutes that the provider needs before the visit.
    pub buffer_before: i64,
    /// Minutes that the provider needs after the visit.
    pub buffer_after: i64,
    /// The active rooms, of which the visit needs one; `None` if it needs no room.
    pub rooms: Option<Vec<Room>>,
}

impl VisitTypeRules {
    /// The longest buffer that the schema allows, in minutes.
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
    /// The local date on which it begins.
    pub date: Date,
    pub visit: Interval,
}

impl Room {
    /// Creates a room; of `visits`, those in other rooms are ignored.
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

/// Chooses the free room with the fewest visits on the date; among equals, the lowest id.
///
/// An `avoided` room is chosen only if no other is free.
///
/// # Errors
/// The intervals at which the rooms are occupied.
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
