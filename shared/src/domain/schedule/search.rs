//! Search for available start times.

use jiff::civil::{Date, Time};

use super::{Calendar, Interval, Minutes, VisitTime, instant, instant_of_midnight, local};

impl Calendar {
    /// Returns the available start times on the practice's grid on `date`, ascending.
    ///
    /// `date` must be within the calendar's range.
    pub fn slots(&self, date: Date, duration: Minutes) -> Vec<Time> {
        let day = Interval {
            from: instant_of_midnight(self.time_zone(), date),
            to: instant_of_midnight(self.time_zone(), date.tomorrow().unwrap_or(date)),
        };
        let mut slots: Vec<i64> =
            self.windows.starts.iter().flat_map(|window| self.free_starts(*window, day, duration)).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.into_iter().map(|start| local(self.time_zone(), start).time()).collect()
    }

    /// Returns the earliest available start in the calendar's range.
    pub fn next_slot(&self, duration: Minutes) -> Option<(Date, Time)> {
        let (first, last) = self.dates;
        let range = Interval {
            from: instant_of_midnight(self.time_zone(), first),
            to: instant_of_midnight(self.time_zone(), last.tomorrow().unwrap_or(last)),
        };
        let mut earliest: Option<i64> = None;
        for window in &self.windows.starts {
            if earliest.is_some_and(|start| start <= window.from) {
                break;
            }
            let start = self.free_starts(*window, range, duration).next();
            earliest = [earliest, start].into_iter().flatten().min();
        }
        earliest.map(|start| local(self.time_zone(), start)).map(|start| (start.date(), start.time()))
    }

    /// Returns the available starts of one window within `range`, ascending.
    ///
    /// The grid begins at the start of the window.
    fn free_starts(&self, window: Interval, range: Interval, duration: Minutes) -> impl Iterator<Item = i64> {
        let step = self.practice.grid_minutes * 60;
        let begin = range.from.max(self.now).max(window.from);
        // The first grid point at or after `begin`.
        let mut next = window.from + (begin - window.from + step - 1) / step * step;
        let end = window.to.min(range.to);
        std::iter::from_fn(move || {
            while next < end {
                let start = next;
                match self.try_start(start, duration) {
                    Ok(()) => {
                        next += step;
                        return Some(start);
                    }
                    // No start before the end of the conflicting visit is available.
                    Err(not_before) => {
                        let behind = (not_before - start).max(1);
                        next += (behind + step - 1) / step * step;
                    }
                }
            }
            None
        })
    }

    /// Checks whether a visit can begin at this instant.
    ///
    /// # Errors
    /// The next instant at which a visit might begin.
    fn try_start(&self, start: i64, duration: Minutes) -> Result<(), i64> {
        let visit = Interval { from: start, to: start + duration.seconds() };
        if let Some(until) = self.busy_until(visit) {
            return Err(until);
        }
        let begins = local(self.time_zone(), start);
        // Do not offer the second occurrence of a repeated local time: callers cannot express it.
        if instant(self.time_zone(), begins.date(), begins.time()) != Some(start) {
            return Err(start + 1);
        }
        let place = VisitTime { date: begins.date(), visit, provider: visit, skipped: false };
        self.decide(&place, &[]).map(|_| ()).map_err(|_| start + 1)
    }
}
