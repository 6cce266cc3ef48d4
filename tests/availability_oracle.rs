//! Compares the scheduling rules with a brute-force oracle.
//!
//! The oracle looks at every single minute around both daylight-saving changes of two zones.

use std::collections::{BTreeSet, HashMap};

use jiff::{
    Span, Timestamp,
    civil::{Date, DateTime, Time, date},
    tz::TimeZone,
};
use proptest::{prelude::*, test_runner::Config};
use shared::domain::{
    ids::RoomId,
    schedule::{
        Calendar, Facts, Interval, Minutes, Practice, ProviderVisit, Refusal, Room, RoomVisit,
        ScheduleException, VisitTime, VisitTypeRules, WorkingHours,
    },
};

/// The days before and after the change in the minute table.
const AROUND: i64 = 4;
/// The days before and after the change that are compared.
const COMPARED: i64 = 1;

type Hours = (i64, u16, u16, Option<i64>, Option<i64>);

#[derive(Clone, Debug)]
struct OracleCase {
    /// (weekday, start, end, from, to): times in 5-minute steps, bounds in days from the change.
    hours: Vec<Hours>,
    /// (day, kind, start, end, own): `own` is false for an exception of the whole practice.
    exceptions: Vec<(i64, u8, u16, u16, bool)>,
    /// (minute from the table's start, minutes, buffer before, buffer after)
    busy: Vec<(i64, i64, i64, i64)>,
    /// (room, minute from the table's start, minutes)
    room_visits: Vec<(i64, i64, i64)>,
    visit_type: Option<(bool, bool, i64, i64, Option<i64>)>,
    grid: i64,
    horizon: i64,
    now: i64,
    duration: i64,
}

fn oracle_cases() -> impl Strategy<Value = OracleCase> {
    let minute = 0..(2 * AROUND + 1) * 1440;
    let near = (AROUND - 2) * 1440..(AROUND + 3) * 1440;
    let bound = || prop_oneof![3 => Just(None), 1 => (-2..3_i64).prop_map(Some)];
    (
        prop::collection::vec((1..8_i64, 0..288_u16, 0..288_u16, bound(), bound()), 0..14),
        prop::collection::vec((-3..4_i64, 0..3_u8, 0..288_u16, 0..288_u16, any::<bool>()), 0..5),
        prop::collection::vec((near.clone(), 5..120_i64, 0..40_i64, 0..40_i64), 0..12),
        prop::collection::vec((1..4_i64, near, 5..200_i64), 0..20),
        prop_oneof![
            1 => Just(None),
            4 => (prop::bool::weighted(0.95), prop::bool::weighted(0.95), 0..40_i64, 0..40_i64,
                prop::option::of(0..4_i64)).prop_map(Some),
        ],
        prop::sample::select(vec![5, 10, 15, 20, 50, 60]),
        0..4_i64,
        minute,
        prop_oneof![3 => 1..90_i64, 1 => 1..1441_i64],
    )
        .prop_map(|(hours, exceptions, busy, room_visits, visit_type, grid, horizon, now, duration)| {
            OracleCase {
                hours,
                exceptions,
                busy,
                room_visits,
                visit_type,
                grid,
                horizon,
                // Mostly so early that something is left to offer.
                now: if now % 3 == 0 { now } else { (AROUND - 1) * 1440 - now % 1440 },
                duration,
            }
        })
}

fn clock(step: u16) -> Time {
    let minute = i32::from(step) * 5;
    Time::midnight().saturating_add(Span::new().minutes(minute))
}

fn plus(date: Date, days: i64) -> Date {
    date.saturating_add(Span::new().days(days))
}

/// The minute table: the wall-clock time of each minute.
struct Oracle<'a> {
    case: &'a OracleCase,
    change: Date,
    /// The first minute, in Unix seconds.
    first: i64,
    wall: Vec<DateTime>,
    /// The first minute that shows each wall-clock time.
    first_shown: HashMap<DateTime, usize>,
    /// Whether each minute is in a working window and not off.
    open: Vec<bool>,
    busy: Vec<bool>,
    /// The same, including the visits' own buffers.
    buffered: Vec<bool>,
    rooms: Vec<Vec<bool>>,
    /// The minutes on the grid of a window.
    grid: BTreeSet<usize>,
}

impl<'a> Oracle<'a> {
    fn new(case: &'a OracleCase, zone: &TimeZone, change: Date) -> Self {
        let first = plus(change, -AROUND).to_zoned(zone.clone()).unwrap().timestamp().as_second();
        let length = usize::try_from((2 * AROUND + 1) * 1440).unwrap();
        let wall: Vec<DateTime> = (0..length)
            .map(|minute| {
                let second = first + 60 * i64::try_from(minute).unwrap();
                zone.to_datetime(Timestamp::from_second(second).unwrap())
            })
            .collect();
        let mut first_shown = HashMap::new();
        for (minute, at) in wall.iter().enumerate() {
            first_shown.entry(*at).or_insert(minute);
        }
        let mut oracle = Self {
            first_shown,
            case,
            change,
            first,
            open: vec![false; length],
            busy: vec![false; length],
            buffered: vec![false; length],
            rooms: vec![vec![false; length]; 4],
            grid: BTreeSet::new(),
            wall,
        };
        oracle.fill();
        oracle
    }

    fn fill(&mut self) {
        for &(from, minutes, before, after) in &self.case.busy {
            mark(&mut self.busy, from, minutes);
            mark(&mut self.buffered, from - before, before + minutes + after);
        }
        for &(room, from, minutes) in &self.case.room_visits {
            mark(&mut self.rooms[usize::try_from(room).unwrap()], from, minutes);
        }
        let mut off = vec![false; self.wall.len()];
        for &(day, kind, start, end, _) in &self.case.exceptions {
            if kind == 1 {
                off[self.window(plus(self.change, day), start, end)].fill(true);
            }
        }
        for day in -AROUND + 1..AROUND - 1 {
            let of_date = self.minutes_of(plus(self.change, day), day, &off);
            let mut since_start = 0;
            for (minute, works) in of_date.into_iter().enumerate() {
                if !works {
                    since_start = 0;
                    continue;
                }
                self.open[minute] = true;
                if since_start % self.case.grid == 0 {
                    self.grid.insert(minute);
                }
                since_start += 1;
            }
        }
    }

    /// Returns the minutes of the windows that belong to a date.
    fn minutes_of(&self, date: Date, day: i64, off: &[bool]) -> Vec<bool> {
        let mut works = vec![false; self.wall.len()];
        let exceptions = || self.case.exceptions.iter().filter(|it| it.0 == day);
        if exceptions().any(|it| it.1 == 0) {
            return works;
        }
        let own = exceptions().any(|it| it.1 == 2 && it.4);
        let custom: Vec<_> = exceptions().filter(|it| it.1 == 2 && it.4 == own).collect();
        if custom.is_empty() {
            for &(weekday, start, end, from, to) in &self.case.hours {
                let holds = i64::from(date.weekday().to_monday_one_offset()) == weekday;
                if holds && from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to) {
                    works[self.window(date, start, end)].fill(true);
                }
            }
        }
        for &&(_, _, start, end, _) in &custom {
            works[self.window(date, start, end)].fill(true);
        }
        works.iter().zip(off).map(|(works, off)| *works && !*off).collect()
    }

    /// Returns the minutes from the first at or after `start` to the first at or after `end`.
    fn window(&self, date: Date, start: u16, end: u16) -> std::ops::Range<usize> {
        let first = |at: DateTime| self.wall.iter().position(|wall| *wall >= at).unwrap_or(self.wall.len());
        let end_date = if end <= start { plus(date, 1) } else { date };
        let (from, to) = (first(date.to_datetime(clock(start))), first(end_date.to_datetime(clock(end))));
        from..to.max(from)
    }

    /// Returns the first minute at which the clock shows this time.
    fn minute(&self, at: DateTime) -> Option<usize> {
        self.first_shown.get(&at).copied()
    }

    /// Returns the room of a visit that starts in this minute; `None` if it cannot.
    ///
    /// The room is 0 if none is needed.
    fn free(&self, minute: usize) -> Option<i64> {
        let case = self.case;
        let today = self.wall[usize::try_from(case.now).unwrap()].date();
        let late = self.wall[minute].date() > plus(today, case.horizon);
        let first_time = self.minute(self.wall[minute]) == Some(minute);
        let (active, allowed, before, after, rooms) = case.visit_type.unwrap_or((true, true, 0, 0, None));
        let length = usize::try_from(case.duration).unwrap();
        let needed = minute.checked_sub(usize::try_from(before).unwrap())?
            ..minute + length + usize::try_from(after).unwrap();
        let works = self.open.get(needed.clone())?.iter().all(|open| *open);
        let booked = self.busy[needed].iter().any(|busy| *busy)
            || self.buffered[minute..minute + length].iter().any(|busy| *busy);
        if !first_time || late || minute < usize::try_from(case.now).unwrap() || !active || !allowed {
            return None;
        }
        if !works || booked {
            return None;
        }
        let Some(rooms) = rooms else { return Some(0) };
        let visit = minute..minute + length;
        let free = (1..=rooms)
            .filter(|room| !self.rooms[usize::try_from(*room).unwrap()][visit.clone()].iter().any(|it| *it));
        let used = |room: i64| {
            let visits = case.room_visits.iter().filter(|visit| visit.0 == room);
            visits
                .filter(|visit| {
                    self.wall[usize::try_from(visit.1).unwrap()].date() == self.wall[minute].date()
                })
                .count()
        };
        free.min_by_key(|room| (used(*room), *room))
    }

    fn calendar(&self, zone: &TimeZone, dates: (Date, Date)) -> Calendar {
        let case = self.case;
        let interval = |from: i64, minutes: i64| Interval {
            from: self.first + from * 60,
            to: self.first + (from + minutes) * 60,
        };
        let room_visits: Vec<RoomVisit> = case
            .room_visits
            .iter()
            .map(|&(room, from, minutes)| RoomVisit {
                room: RoomId(room),
                date: self.wall[usize::try_from(from).unwrap()].date(),
                visit: interval(from, minutes),
            })
            .collect();
        let hours = case.hours.iter().map(|&(weekday, start, end, from, to)| WorkingHours {
            weekday,
            start: clock(start),
            end: clock(end),
            valid_from: from.map(|day| plus(self.change, day)),
            valid_to: to.map(|day| plus(self.change, day)),
        });
        let exceptions = case.exceptions.iter().map(|&(day, kind, start, end, own)| {
            let (date, start, end) = (plus(self.change, day), clock(start), clock(end));
            match kind {
                0 => ScheduleException::DayOff { date },
                1 => ScheduleException::Off { date, start, end },
                _ => ScheduleException::Custom { date, start, end, own },
            }
        });
        let visit_type =
            case.visit_type.map(|(active, provider_allowed, buffer_before, buffer_after, rooms)| {
                VisitTypeRules {
                    active,
                    provider_allowed,
                    buffer_before,
                    buffer_after,
                    rooms: rooms
                        .map(|count| (1..=count).map(|id| Room::new(RoomId(id), &room_visits)).collect()),
                }
            });
        let facts = Facts {
            hours: hours.collect(),
            exceptions: exceptions.collect(),
            busy: case
                .busy
                .iter()
                .map(|&(from, minutes, buffer_before, buffer_after)| ProviderVisit {
                    time: interval(from, minutes),
                    buffer_before,
                    buffer_after,
                })
                .collect(),
            visit_type,
        };
        let practice =
            Practice { time_zone: zone.clone(), grid_minutes: case.grid, horizon_days: case.horizon };
        let now = Timestamp::from_second(self.first + case.now * 60).unwrap();
        Calendar::new(practice, now, dates, facts)
    }
}

fn mark(minutes: &mut [bool], from: i64, length: i64) {
    let from = usize::try_from(from).unwrap();
    let to = (from + usize::try_from(length).unwrap()).min(minutes.len());
    minutes[from..to].fill(true);
}

/// Counts the comparisons, so that a test that compares nothing fails.
#[derive(Default)]
struct Seen {
    free: usize,
    slots: usize,
    skipped: usize,
}

fn compare(case: &OracleCase, zone: &TimeZone, change: Date, seen: &mut Seen) -> Result<(), TestCaseError> {
    let oracle = Oracle::new(case, zone, change);
    let duration = Minutes::new(case.duration).unwrap();
    let (first, last) = (plus(change, -COMPARED), plus(change, COMPARED));
    let range = oracle.calendar(zone, (first, last));
    let mut earliest = None;
    for day in -COMPARED..=COMPARED {
        let date = plus(change, day);
        let calendar = oracle.calendar(zone, (date, date));
        let mut offered = Vec::new();
        for minute in 0..1440 {
            let time = Time::midnight().saturating_add(Span::new().minutes(minute));
            let decision = calendar.decide(&VisitTime::at(zone, date, time, duration), &[]);
            let at = oracle.minute(date.to_datetime(time));
            let expected = at.and_then(|minute| oracle.free(minute));
            let room = decision.as_ref().ok().map(|room| room.map_or(0, |room| room.0));
            prop_assert_eq!(room, expected, "{} {}: {:?}", date, time, decision);
            let skipped = decision.is_err_and(|it| it.iter().any(|it| it.refusal == Refusal::SkippedTime));
            prop_assert_eq!(skipped, at.is_none(), "{} {}", date, time);
            seen.free += usize::from(room.is_some());
            seen.skipped += usize::from(skipped);
            if room.is_some() && at.is_some_and(|minute| oracle.grid.contains(&minute)) {
                offered.push(time);
            }
        }
        prop_assert_eq!(&calendar.slots(date, duration), &offered, "slots of {}", date);
        prop_assert_eq!(&range.slots(date, duration), &offered, "slots of {} in a range", date);
        // A search may go through the dates in parts.
        prop_assert_eq!(calendar.next_slot(duration), offered.first().map(|time| (date, *time)));
        seen.slots += offered.len();
        earliest = earliest.or(offered.first().map(|time| (date, *time)));
    }
    prop_assert_eq!(range.next_slot(duration), earliest);
    Ok(())
}

fn agree(zone: &str, change: Date, skips: bool) {
    let zone = shared::domain::zones::get(zone).unwrap();
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let seen = std::cell::RefCell::new(Seen::default());
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&oracle_cases(), |case| compare(&case, &zone, change, &mut seen.borrow_mut()));
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    assert!(seen.free > 5_000 && seen.slots > 200, "{} free minutes, {} slots", seen.free, seen.slots);
    assert_eq!(seen.skipped > 0, skips);
}

#[test]
fn every_minute_agrees_when_clocks_go_forward_in_new_york() {
    agree("America/New_York", date(2026, 3, 8), true);
}

#[test]
fn every_minute_agrees_when_clocks_go_back_in_new_york() {
    agree("America/New_York", date(2026, 11, 1), false);
}

#[test]
fn every_minute_agrees_when_clocks_go_forward_in_berlin() {
    agree("Europe/Berlin", date(2026, 3, 29), true);
}

#[test]
fn every_minute_agrees_when_clocks_go_back_in_berlin() {
    agree("Europe/Berlin", date(2026, 10, 25), false);
}
