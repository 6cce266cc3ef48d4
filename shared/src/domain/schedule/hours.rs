//! Working hours and their exceptions.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{Interval, local::boundary, merge, subtract};

/// A weekly working window.
///
/// If its end is not after its start, it ends on the next day. It belongs to the day on which it
/// starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkingHours {
    /// The weekday in ISO 8601: 1 = Monday … 7 = Sunday.
    pub weekday: i64,
    pub start: Time,
    pub end: Time,
    /// The first date on which it applies; `None` for no bound.
    pub valid_from: Option<Date>,
    /// The last date on which it applies; `None` for no bound.
    pub valid_to: Option<Date>,
}

/// An exception to the weekly working hours on one date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleException {
    /// The windows that belong to the date are canceled.
    DayOff { date: Date },
    /// Time off from `start` to `end`, in any window.
    ///
    /// If `end` is not after `start`, it is on the next day.
    Off { date: Date, start: Time, end: Time },
    /// A window that replaces the weekly ones of the date.
    ///
    /// Windows of the provider's `own` replace those of the practice.
    Custom { date: Date, start: Time, end: Time, own: bool },
}

impl WorkingHours {
    fn holds_on(&self, date: Date) -> bool {
        i64::from(date.weekday().to_monday_one_offset()) == self.weekday
            && self.valid_from.is_none_or(|first| first <= date)
            && self.valid_to.is_none_or(|last| date <= last)
    }
}

/// The working windows of a range of dates.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// Each date's windows without time off, merged within the date, in order of their start.
    pub(super) starts: Vec<Interval>,
    /// The same windows, merged across all dates.
    pub(super) open: Vec<Interval>,
    /// The windows before days off and time off are removed, merged across all dates.
    pub(super) worked: Vec<Interval>,
}

impl Windows {
    /// Computes the windows that belong to the dates from `first` to `last`.
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

/// Returns the custom windows of a date, and whether the date is a day off.
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
