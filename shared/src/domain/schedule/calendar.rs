//! The decision whether a visit can take place.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    Interval, ScheduleException, VisitTime, VisitTypeRules, WorkingHours,
    hours::Windows,
    interval::{covers, overlapping},
    local, merge,
    visit_type::choose,
};
use crate::domain::ids::RoomId;

/// Settings of the whole practice.
#[derive(Clone, Debug)]
pub struct Practice {
    pub time_zone: TimeZone,
    /// Minutes between the start times that are offered.
    pub grid_minutes: i64,
    /// The booking horizon: how many days after today can be booked.
    pub horizon_days: i64,
}

/// The provider's time in a blocking visit, with the buffers of its visit type in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderVisit {
    pub time: Interval,
    pub buffer_before: i64,
    pub buffer_after: i64,
}

impl ProviderVisit {
    fn with_buffers(&self) -> Interval {
        let Interval { from, to } = self.time;
        Interval { from: from - self.buffer_before * 60, to: to + self.buffer_after * 60 }
    }
}

/// The stored data of one provider around a range of dates.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub hours: Vec<WorkingHours>,
    pub exceptions: Vec<ScheduleException>,
    pub busy: Vec<ProviderVisit>,
    /// The rules of the visit type, if the query names one.
    pub visit_type: Option<VisitTypeRules>,
}

/// Why a visit cannot take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    VisitTypeInactive,
    ProviderNotAllowed,
    /// The clocks skip the local time.
    SkippedTime,
    Past,
    BeyondHorizon,
    /// The provider's time with buffers is not within one working window.
    OutsideHours,
    /// It is within one working window, but overlaps time off.
    TimeOff,
    /// The provider has another visit.
    Booked,
    /// No room of the visit type is free.
    NoResource,
}

/// A refusal with the intervals that conflict, if that is the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub refusal: Refusal,
    pub blocking: Vec<Interval>,
}

/// One provider's calendar over a range of dates.
#[derive(Clone, Debug)]
pub struct Calendar {
    pub(super) practice: Practice,
    pub(super) now: i64,
    pub(super) dates: (Date, Date),
    pub(super) windows: Windows,
    last_date: Date,
    /// The provider's blocking visits.
    busy: Vec<Interval>,
    /// The same visits with their own buffers.
    busy_with_buffers: Vec<Interval>,
    visit_type: Option<VisitTypeRules>,
}

impl Calendar {
    /// How many days before and after a range can affect visits that start within it.
    ///
    /// A visit with its buffers takes up to 32 hours, and a working window up to 24.
    pub const MARGIN_DAYS: i64 = 2;

    /// Creates a calendar for visits that begin on the dates from `first` to `last`.
    ///
    /// `facts` must cover [`Self::MARGIN_DAYS`] more on both sides.
    pub fn new(practice: Practice, now: Timestamp, (first, last): (Date, Date), facts: Facts) -> Self {
        let margin = jiff::Span::new().days(Self::MARGIN_DAYS);
        let around = (first.saturating_sub(margin), last.saturating_add(margin));
        let windows = Windows::of(&practice.time_zone, around, &facts.hours, &facts.exceptions);
        // Round up: a second that has begun is past.
        let now = now.as_second() + i64::from(now.subsec_nanosecond() > 0);
        let today = local(&practice.time_zone, now).date();
        Self {
            last_date: today.saturating_add(jiff::Span::new().days(practice.horizon_days)),
            now,
            dates: (first, last),
            windows,
            busy: merge(facts.busy.iter().map(|visit| visit.time).collect()),
            busy_with_buffers: merge(facts.busy.iter().map(ProviderVisit::with_buffers).collect()),
            visit_type: facts.visit_type,
            practice,
        }
    }

    pub fn time_zone(&self) -> &TimeZone {
        &self.practice.time_zone
    }

    /// Returns the room for a visit, or `None` if it needs no room.
    ///
    /// An `avoided` room is chosen only if no other is free.
    ///
    /// # Errors
    /// Every reason why the visit cannot take place, in the order of [`Refusal`].
    pub fn decide(&self, place: &VisitTime, avoided: &[RoomId]) -> Result<Option<RoomId>, Vec<Refused>> {
        let mut refused = Vec::new();
        let mut refuse = |refusal, blocking: &[Interval]| {
            refused.push(Refused { refusal, blocking: blocking.to_vec() });
        };
        let needed = self.needed(place.provider);
        if self.visit_type.as_ref().is_some_and(|it| !it.active) {
            refuse(Refusal::VisitTypeInactive, &[]);
        }
        if self.visit_type.as_ref().is_some_and(|it| !it.provider_allowed) {
            refuse(Refusal::ProviderNotAllowed, &[]);
        }
        if place.skipped {
            refuse(Refusal::SkippedTime, &[]);
        }
        if place.visit.from < self.now {
            refuse(Refusal::Past, &[]);
        }
        if place.date > self.last_date {
            refuse(Refusal::BeyondHorizon, &[]);
        }
        if !covers(&self.windows.worked, needed) {
            refuse(Refusal::OutsideHours, &[]);
        } else if !covers(&self.windows.open, needed) {
            refuse(Refusal::TimeOff, &[]);
        }
        let booked = self.booked(place.provider);
        if !booked.is_empty() {
            refuse(Refusal::Booked, &booked);
        }
        let rooms = self.visit_type.as_ref().and_then(|it| it.rooms.as_ref());
        let room = match rooms.map(|rooms| choose(rooms, place.date, place.visit, avoided)).transpose() {
            Ok(room) => room,
            Err(taken) => {
                refuse(Refusal::NoResource, &taken);
                None
            }
        };
        if refused.is_empty() { Ok(room) } else { Err(refused) }
    }

    /// Returns the provider's visits that conflict.
    ///
    /// Between two neighboring visits, the larger of the earlier one's buffer after and the later
    /// one's buffer before must stay free.
    fn booked(&self, provider: Interval) -> Vec<Interval> {
        let by_its_buffers = overlapping(&self.busy, self.needed(provider));
        let by_theirs = overlapping(&self.busy_with_buffers, provider);
        merge([by_its_buffers, by_theirs].concat())
    }

    /// Returns the earliest possible start after the provider's conflicting visits.
    ///
    /// `None` if no visit conflicts. Looks at the provider's visits only. Must agree with `booked`;
    /// `tests/availability_oracle.rs` has a model of both.
    pub(super) fn busy_until(&self, visit: Interval) -> Option<i64> {
        let needed = self.needed(visit);
        let by_its_buffers =
            overlapping(&self.busy, needed).last().map(|it| it.to + visit.from - needed.from);
        let by_theirs = overlapping(&self.busy_with_buffers, visit).last().map(|it| it.to);
        by_its_buffers.max(by_theirs)
    }

    /// Adds the buffers of the visit type to the provider's time.
    fn needed(&self, provider: Interval) -> Interval {
        let (before, after) =
            self.visit_type.as_ref().map_or((0, 0), |it| (it.buffer_before * 60, it.buffer_after * 60));
        Interval { from: provider.from - before, to: provider.to + after }
    }
}
