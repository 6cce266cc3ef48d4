//! Where in time a visit would be.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{Interval, Minutes, instant, instants, local, local::boundary};

/// A visit's place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The local date the visit begins on.
    pub date: Date,
    /// The patient and the room.
    pub visit: Interval,
    /// The provider: the whole visit or a part of it.
    pub provider: Interval,
    /// Clocks skip the local time that was asked for, so there is no such place.
    pub skipped: bool,
}

impl Place {
    /// A visit that the provider attends as a whole, at a local time.
    pub fn at(zone: &TimeZone, date: Date, time: Time, duration: Minutes) -> Self {
        let found = instant(zone, date, time);
        let from = found.unwrap_or_else(|| boundary(zone, date, time));
        let visit = Interval { from, to: from + duration.seconds() };
        Self { date, visit, provider: visit, skipped: found.is_none() }
    }

    /// The same visit, attended by the provider from a local time on; `None` when that isn't inside of the visit.
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

    /// The same visit, attended by the provider as another `visit` of the same length is.
    #[must_use]
    pub fn attended_like(self, visit: Interval, provider: Interval) -> Self {
        if provider == visit {
            return self;
        }
        let shift = self.visit.from - visit.from;
        Self { provider: Interval { from: provider.from + shift, to: provider.to + shift }, ..self }
    }

    /// The local dates that the visit touches, with up to `buffer` minutes on both sides, ascending.
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
    fn a_visit_over_midnight_may_be_attended_on_its_second_day() {
        let visit = Place::at(&berlin(), date(2026, 5, 4), time(23, 30, 0, 0), minutes(60));
        let attended = visit.attended(&berlin(), time(0, 10, 0, 0), minutes(20)).unwrap();
        assert_eq!(attended.provider.from, visit.visit.from + 40 * 60);
        assert_eq!(visit.attended(&berlin(), time(0, 11, 0, 0), minutes(20)), None);
        assert_eq!(visit.dates(&berlin(), 0), [date(2026, 5, 4), date(2026, 5, 5)]);
    }

    #[test]
    fn a_visit_takes_its_minutes_however_clocks_change() {
        let visit = Place::at(&berlin(), date(2026, 10, 25), time(1, 30, 0, 0), minutes(120));
        assert_eq!(visit.visit.to - visit.visit.from, 7200);
        assert_eq!(local(&berlin(), visit.visit.to), date(2026, 10, 25).at(2, 30, 0, 0));
        // 02:15 comes twice; the first lies inside of the visit.
        let attended = visit.attended(&berlin(), time(2, 15, 0, 0), minutes(30)).unwrap();
        assert_eq!(attended.provider.from, visit.visit.from + 45 * 60);
        assert!(Place::at(&berlin(), date(2026, 3, 29), time(2, 0, 0, 0), minutes(5)).skipped);
    }

    #[test]
    fn buffers_count_for_the_dates_a_visit_touches() {
        let visit = Place::at(&berlin(), date(2026, 5, 4), time(0, 5, 0, 0), minutes(30));
        assert_eq!(visit.dates(&berlin(), 10), [date(2026, 5, 3), date(2026, 5, 4)]);
        assert_eq!(visit.dates(&berlin(), 5), [date(2026, 5, 4)]);
    }
}
