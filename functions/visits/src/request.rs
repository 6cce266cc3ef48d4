//! A requested visit and its times.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use shared::{
    api::{ApiError, ApiResult},
    domain::{
        ids::{PatientId, ProviderId, RoomId, VisitId},
        schedule::{Minutes, VisitTime, local},
    },
    tenant::visits::{Appointment, Visit},
};

/// A requested visit.
pub(crate) struct VisitRequest<'a> {
    pub(crate) patient: PatientId,
    pub(crate) provider: ProviderId,
    pub(crate) visit_type: &'a str,
    pub(crate) times: Times,
    /// The visit being rescheduled, which does not conflict with itself.
    pub(crate) except: Option<VisitId>,
}

/// The times of a visit, local and as instants.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) time: Time,
    pub(crate) duration: Minutes,
    provider_time: Time,
    provider_duration: Minutes,
    pub(crate) place: VisitTime,
}

impl Times {
    /// Returns the times of a visit. The provider's part defaults to the whole visit.
    ///
    /// # Errors
    /// 422 if the provider's part is not inside the visit.
    pub(crate) fn new(
        zone: &TimeZone,
        date: Date,
        (time, duration): (Time, Minutes),
        (provider_time, provider_duration): (Option<Time>, Option<Minutes>),
    ) -> ApiResult<Self> {
        let place = VisitTime::at(zone, date, time, duration);
        let (provider_time, provider_duration) =
            (provider_time.unwrap_or(time), provider_duration.unwrap_or(duration));
        let attended = if place.skipped || (provider_time, provider_duration) == (time, duration) {
            Some(place)
        } else {
            place.attended(zone, provider_time, provider_duration)
        };
        let place = attended.ok_or_else(|| {
            let message = "must lie, together with ProviderDuration, inside the visit";
            ApiError::field("ProviderTime", "OUTSIDE_VISIT", message)
        })?;
        Ok(Self { time, duration, provider_time, provider_duration, place })
    }

    /// Returns the times of a visit that moves to another local time.
    ///
    /// The provider's part keeps its distance from the start. If the visit's own time cannot be
    /// read, the provider attends the whole visit.
    pub(crate) fn moved(zone: &TimeZone, from: &Visit, date: Date, time: Time) -> Self {
        let whole = VisitTime::at(zone, date, time, from.duration);
        let readable = from.time.and(from.instants);
        let place = readable.map_or(whole, |(visit, provider)| whole.attended_like(visit, provider));
        let is_part = place.provider != place.visit;
        Self {
            time,
            duration: from.duration,
            provider_time: if is_part { local(zone, place.provider.from).time() } else { time },
            provider_duration: if is_part { from.provider_duration } else { from.duration },
            place,
        }
    }

    pub(crate) fn with(self, provider: ProviderId, room: Option<RoomId>) -> Appointment {
        Appointment {
            provider,
            room,
            time: self.time,
            duration: self.duration,
            provider_time: self.provider_time,
            provider_duration: self.provider_duration,
            place: self.place,
        }
    }
}
