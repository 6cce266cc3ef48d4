//! When a provider can see a patient.
//!
//! These rules are the only ones behind check, slots, next-slot, booking and rescheduling.
//!
//! Dates and times are local to the practice. Overlaps are computed in Unix seconds, so that a
//! daylight saving time change can neither hide nor create one. Intervals are half-open.

mod calendar;
mod hours;
mod interval;
mod local;
mod visit_time;
mod search;
mod visit_type;

pub use calendar::{Calendar, Facts, Practice, ProviderVisit, Refusal, Refused};
pub use hours::{ScheduleException, WorkingHours};
pub use interval::{Interval, merge, subtract};
pub use local::{instant, instant_of_midnight, instants, local};
pub use visit_time::VisitTime;
pub use visit_type::{Room, RoomVisit, VisitTypeRules};

/// A duration in minutes, 1 to 1,440.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = i64, minimum = 1, maximum = 1440, example = 30)]
pub struct Minutes(i64);

impl Minutes {
    pub const MAX: i64 = 1440;
    pub const DAY: Self = Self(Self::MAX);

    /// Creates a duration; `None` unless it is 1 to [`Self::MAX`].
    pub fn new(minutes: i64) -> Option<Self> {
        (1..=Self::MAX).contains(&minutes).then_some(Self(minutes))
    }

    pub fn get(self) -> i64 {
        self.0
    }

    pub fn seconds(self) -> i64 {
        self.0 * 60
    }
}
