//! Visits from two weeks ago to two weeks ahead, booked by the API's own rules, and the EMR's log
//! of them.

use std::collections::{HashMap, HashSet};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use shared::domain::ids::ProviderId;
use shared::domain::schedule::{
    Calendar, Facts, Interval, Minutes, Practice, VisitTime, VisitTypeRules, instant_of_midnight,
};

use super::data::NAMES;
use super::dice::Dice;
use super::patients::Patient;
use super::practice::{DemoPractice, MOST_BUFFER, VISIT_TYPES, VisitType, different_days, hours_of};
use super::rows::{Row, Script, row};

/// Number of days back and ahead.
const DAYS: i32 = 14;
/// Percentage of possible start times that are booked.
const BOOKED: usize = 45;
/// Durations in minutes.
const DURATIONS: [i64; 4] = [15, 30, 30, 60];
const LONGEST: i64 = 60;
/// First log id, like that of a practice with years of history.
const FIRST_LOG_ID: i64 = 14_650_001;

const COLUMNS: &str = "visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, \
    visit_time, visit_duration, provider_time, provider_duration, visit_complaint, status, starts_at, \
    ends_at, provider_starts_at, provider_ends_at, created_at, updated_at)";

/// The current time in the practice.
pub(super) struct Today<'a> {
    pub(super) zone: &'a TimeZone,
    pub(super) now: Timestamp,
    pub(super) date: Date,
}

struct Diary<'a> {
    dice: &'a mut Dice,
    today: &'a Today<'a>,
    patients: &'a [Patient],
    rooms: HashMap<i64, Vec<Interval>>,
    seen: HashSet<(i64, Date)>,
    rows: Vec<Row>,
    log: Vec<(Timestamp, &'static str, &'static str, i64)>,
}

/// Writes the visits and the log.
pub(super) fn write(
    script: &mut Script,
    dice: &mut Dice,
    practice: &DemoPractice,
    patients: &[Patient],
    today: &Today<'_>,
) {
    let first = today.date.saturating_sub(Span::new().days(DAYS));
    let last = today.date.saturating_add(Span::new().days(DAYS));
    let mut diary = Diary {
        dice,
        today,
        patients,
        rooms: HashMap::new(),
        seen: HashSet::new(),
        rows: vec![],
        log: patients.iter().map(|it| (it.created_at, "patients", "insert", it.id)).collect(),
    };
    for provider in practice.provider_ids() {
        let calendar = calendar(provider, today, (first, last));
        let Some(longest) = Minutes::new(LONGEST) else { continue };
        let mut free_from = 0;
        for date in first.series(Span::new().days(1)).take_while(|date| *date <= last) {
            for time in calendar.slots(date, longest) {
                if diary.dice.chance(BOOKED) {
                    diary.book(ProviderId(provider), date, time, &mut free_from);
                }
            }
        }
    }
    script.insert(COLUMNS, &diary.rows);
    diary.log.sort_unstable();
    let log: Vec<Row> = (FIRST_LOG_ID..)
        .zip(diary.log)
        .map(|(id, (at, table, action, record))| row![id, table, action, record, at])
        .collect();
    script.insert("log (log_id, table_name, action, record_id, logged_at)", &log);
}

/// Returns the provider's calendar with the longest buffers, so that every visit type fits.
fn calendar(provider: i64, today: &Today<'_>, (first, last): (Date, Date)) -> Calendar {
    let practice = Practice { time_zone: today.zone.clone(), grid_minutes: 15, horizon_days: 365 };
    let rules = VisitTypeRules {
        active: true,
        provider_allowed: true,
        buffer_before: MOST_BUFFER,
        buffer_after: MOST_BUFFER,
        rooms: None,
    };
    let different = different_days(today.date).into_iter();
    let facts = Facts {
        hours: hours_of(provider),
        exceptions: different
            .filter(|day| day.provider.is_none_or(|id| id == provider))
            .map(|day| day.exception)
            .collect(),
        busy: vec![],
        visit_type: Some(rules),
    };
    let beginning = instant_of_midnight(today.zone, first);
    Calendar::new(practice, Timestamp::from_second(beginning).unwrap_or(today.now), (first, last), facts)
}

impl Diary<'_> {
    /// Books a visit if the provider is free from `free_from` on, and a room and a patient are
    /// free.
    fn book(&mut self, provider: ProviderId, date: Date, time: Time, free_from: &mut i64) {
        let types: Vec<&VisitType> =
            VISIT_TYPES.iter().filter(|it| it.providers.contains(&provider.0)).collect();
        let kind = *self.dice.pick(&types);
        let minutes = *self.dice.pick(&DURATIONS);
        let Some(duration) = Minutes::new(minutes) else { return };
        let place = VisitTime::at(self.today.zone, date, time, duration);
        if place.skipped || place.visit.from - kind.buffers.0 * 60 < *free_from {
            return;
        }
        let free = |room: &&i64| {
            self.rooms.get(room).is_none_or(|busy| !busy.iter().any(|it| it.overlaps(place.visit)))
        };
        let room = kind.rooms.iter().find(free).copied();
        if room.is_none() && !kind.rooms.is_empty() {
            return;
        }
        // The newest patients joined after the first of these visits were booked.
        let known = self.patients.len() * 95 / 100;
        let patient = self.patients[self.dice.below(known)].id;
        if !self.seen.insert((patient, date)) {
            return;
        }
        *free_from = place.visit.to + kind.buffers.1 * 60;
        if let Some(room) = room {
            self.rooms.entry(room).or_default().push(place.visit);
        }
        self.note(provider.0, room, patient, kind.name, (time, minutes), &place);
    }

    fn note(
        &mut self,
        provider: i64,
        room: Option<i64>,
        patient: i64,
        kind: &str,
        (time, minutes): (Time, i64),
        place: &VisitTime,
    ) {
        let now = self.today.now;
        let id = i64::try_from(self.rows.len()).unwrap_or_default() + 1;
        let at = |second| Timestamp::from_second(second).unwrap_or(now);
        let (start, end) = (at(place.visit.from), at(place.visit.to));
        let booked = start - SignedDuration::from_mins(self.dice.between(24 * 60, 21 * 24 * 60));
        let booked = booked.min(now - SignedDuration::from_mins(self.dice.between(5, 12 * 60)));
        let (status, changed) = self.outcome(start, end, booked);
        self.log.push((booked, "visits", "insert", id));
        if changed != booked {
            self.log.push((changed, "visits", "update", id));
        }
        if status == "Completed" {
            // Claims, payments and documents use the visit's id.
            for (table, percent, hours) in [("documents", 40, 1), ("claims", 80, 6), ("payments", 50, 48)] {
                let at = changed + SignedDuration::from_hours(hours);
                if self.dice.chance(percent) && at <= now {
                    self.log.push((at, table, "insert", id));
                }
            }
        }
        let complaint = self.dice.chance(70).then(|| self.dice.pick(&NAMES.complaints).as_str());
        self.rows.push(row![
            id,
            patient,
            provider,
            room,
            kind,
            place.date,
            time,
            minutes,
            time,
            minutes,
            complaint,
            status,
            place.visit.from,
            place.visit.to,
            place.provider.from,
            place.provider.to,
            booked,
            changed,
        ]);
    }

    /// Returns a visit's current status, and when it changed to it.
    fn outcome(&mut self, start: Timestamp, end: Timestamp, booked: Timestamp) -> (&'static str, Timestamp) {
        let now = self.today.now;
        let between = booked + (start.min(now).duration_since(booked) / 2);
        match self.dice.below(100) {
            ..6 => ("Cancelled", between),
            6..12 if end <= now => ("NoShow", end),
            _ if end <= now => ("Completed", end),
            _ if start <= now => ("Arrived", start),
            6..40 => ("Confirmed", between),
            _ => ("Scheduled", booked),
        }
    }
}
