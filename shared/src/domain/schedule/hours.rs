//! Working hours and their exceptions.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{Interval, local::boundary, merge, subtract};

/// A weekly working window. One whose end is not after its start ends on the next day and belongs to the day it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkingHours {
    /// ISO 8601: 1 = Monday … 7 = Sunday.
    pub weekday: i64,
    pub start: Time,
    pub end: Time,
    /// First and last date it holds on; no bound when absent.
    pub valid_from: Option<Date>,
    pub valid_to: Option<Date>,
}

/// What is different on one date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleException {
    /// Nobody works in the windows that belong to the date.
    DayOff { date: Date },
    /// Nobody works from `start` to `end` (of the next day when not after `start`), whichever window that is in.
    Off { date: Date, start: Time, end: Time },
    /// The date's windows are these instead of the weekly ones. The provider's `own` replace the practice's.
    Custom { date: Date, start: Time, end: Time, own: bool },
}

impl WorkingHours {
    fn holds_on(&self, date: Date) -> bool {
        i64::from(date.weekday().to_monday_one_offset()) == self.weekday
            && self.valid_from.is_none_or(|first| first <= date)
            && self.valid_to.is_none_or(|last| date <= last)
    }
}

/// The windows of a range of dates.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// Each date's windows without time off, merged within the date, ascending by start.
    pub(super) starts: Vec<Interval>,
    /// The same, merged over all dates.
    pub(super) open: Vec<Interval>,
    /// What would be open if nothing were off.
    pub(super) worked: Vec<Interval>,
}

impl Windows {
    /// The windows that belong to the dates from `first` to `last`.
    pub(super) fn of(
        zone: &TimeZone,
        (first, last): (Date, Date),
        hours: &[WorkingHours],
        exceptions: &[ScheduleException],
    ) -> Self {
        let span = |date: Date, start, end| span(zone, date, start, end);
        let off = merge(
            exceptions
                .iter()
                .filter_map(|it| match *it {
                    ScheduleException::Off { date, start, end } => Some(span(date, start, end)),
                    _ => None,
                })
                .collect(),
        );
        let mut windows = Self::default();
        for date in first.series(jiff::Span::new().days(1)).take_while(|date| *date <= last) {
            let (custom, day_off) = exceptions_of(exceptions, date);
            let day = if custom.is_empty() {
                hours.iter().filter(|it| it.holds_on(date)).map(|it| span(date, it.start, it.end)).collect()
            } else {
                custom.into_iter().map(|(start, end)| span(date, start, end)).collect()
            };
            let day = merge(day);
            if !day_off {
                windows.starts.extend(subtract(&day, &off));
            }
            windows.worked.extend(day);
        }
        windows.starts.sort_unstable();
        windows.open = merge(windows.starts.clone());
        windows.worked = merge(windows.worked);
        windows
    }
}

/// The custom windows of a date and whether it is off as a whole.
fn exceptions_of(exceptions: &[ScheduleException], on: Date) -> (Vec<(Time, Time)>, bool) {
    let mut day_off = false;
    let (mut own_windows, mut practice_windows) = (Vec::new(), Vec::new());
    for exception in exceptions {
        match *exception {
            ScheduleException::DayOff { date } => day_off |= date == on,
            ScheduleException::Custom { date, start, end, own } if date == on => {
                if own { &mut own_windows } else { &mut practice_windows }.push((start, end));
            }
            _ => (),
        }
    }
    (if own_windows.is_empty() { practice_windows } else { own_windows }, day_off)
}

fn span(zone: &TimeZone, date: Date, start: Time, end: Time) -> Interval {
    let end_date = if end <= start { date.tomorrow().unwrap_or(date) } else { date };
    Interval { from: boundary(zone, date, start), to: boundary(zone, end_date, end) }
}
