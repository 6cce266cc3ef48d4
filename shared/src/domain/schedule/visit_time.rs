//! The time of a visit that is planned.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{Interval, Minutes, instant, instants, local, local::boundary};

/// The time of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitTime {
    /// The local date on which the visit begins.
    pub date: Date,
    /// The time of the patient and the room.
    pub visit: Interval,
    /// The time of the provider: the whole visit or a part of it.
    pub provider: Interval,
    /// Whether the clocks skip the requested local time, so that it does not exist.
    pub skipped: bool,
}

impl VisitTime {
    /// Creates the time of a visit that begins at a local time. The provider attends all of it.
    pub fn at(zone: &TimeZone, date: Date, time: Time, duration: Minutes) -> Self {
        let found = instant(zone, date, time);
        let from = found.unwrap_or_else(|| boundary(zone, date, time));
        let visit = Interval { from, to: from + duration.seconds() };
        Self { date, visit, provider: visit, skipped: found.is_none() }
    }

    /// Limits the provider's time to `duration` from a local time.
    ///
    /// `None` if that is not within the visit.
    pub fn attended(self, zone: &TimeZone, time: Time, duration: Minutes) -> Option<Self> {
        let dates = [Some(self.date), self.date.tomorrow().ok()];
        let provider = dates
            .into_iter()
            .flatten()
            .flat_map(|date| instants(zone, date, time))
            .map(|from| Interval { from, to: from + duration.seconds() })
            .find(|it| self.visit.contains(*it))?;
        Some(Self { provider, ..self })
    }

    /// Gives the provider the same part of the visit that `provider` is of another `visit`.
    ///
    /// Both visits must have the same length.
    #[must_use]
    pub fn attended_like(self, visit: Interval, provider: Interval) -> Self {
        if provider == visit {
            return self;
        }
        let shift = self.visit.from - visit.from;
        Self { provider: Interval { from: provider.from + shift, to: provider.to + shift }, ..self }
    }

    /// Returns the local dates of the visit with `buffer` minutes on both sides, ascending.
    pub fn dates(&self, zone: &TimeZone, buffer: i64) -> Vec<Date> {
        let (from, to) = (self.visit.from - buffer * 60, self.visit.to + buffer * 60);
        let last = local(zone, to - 1).date();
        let mut dates = vec![local(zone, from).date()];
        while let Some(next) = dates.last().and_then(|date| date.tomorrow().ok()).filter(|next| *next <= last)
        {
            dates.push(next);
        }
        dates
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn berlin() -> TimeZone {
        crate::domain::zones::get("Europe/Berlin").unwrap()
    }

    fn minutes(count: i64) -> Minutes {
        Minutes::new(count).unwrap()
    }

    #[test]
    fn a_visit_over_midnight_may_be_attended_on_the_second_day() {
        let visit = VisitTime::at(&berlin(), date(2026, 5, 4), time(23, 30, 0, 0), minutes(60));
        let attended = visit.attended(&berlin(), time(0, 10, 0, 0), minutes(20)).unwrap();
        assert_eq!(attended.provider.from, visit.visit.from + 40 * 60);
        assert_eq!(visit.attended(&berlin(), time(0, 11, 0, 0), minutes(20)), None);
        assert_eq!(visit.dates(&berlin(), 0), [date(2026, 5, 4), date(2026, 5, 5)]);
    }

    #[test]
    fn a_clock_change_does_not_change_the_length_of_a_visit() {
        let visit = VisitTime::at(&berlin(), date(2026, 10, 25), time(1, 30, 0, 0), minutes(120));
        assert_eq!(visit.visit.to - visit.visit.from, 7200);
        assert_eq!(local(&berlin(), visit.visit.to), date(2026, 10, 25).at(2, 30, 0, 0));
        // 02:15 occurs twice; the first occurrence is within the visit.
        let attended = visit.attended(&berlin(), time(2, 15, 0, 0), minutes(30)).unwrap();
        assert_eq!(attended.provider.from, visit.visit.from + 45 * 60);
        assert!(VisitTime::at(&berlin(), date(2026, 3, 29), time(2, 0, 0, 0), minutes(5)).skipped);
    }

    #[test]
    fn buffers_extend_the_dates_of_a_visit() {
        let visit = VisitTime::at(&berlin(), date(2026, 5, 4), time(0, 5, 0, 0), minutes(30));
        assert_eq!(visit.dates(&berlin(), 10), [date(2026, 5, 3), date(2026, 5, 4)]);
        assert_eq!(visit.dates(&berlin(), 5), [date(2026, 5, 4)]);
    }
}
