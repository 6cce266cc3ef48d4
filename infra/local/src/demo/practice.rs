//! The two demo practices: providers, hours, rooms and visit types.

use jiff::civil::{Date, Time, Weekday, time};
use jiff::{Span, civil};
use shared::domain::schedule::{ScheduleException, WorkingHours};

use super::rows::{Script, row};

/// A fictional practice.
pub(super) struct DemoPractice {
    pub(super) practicepass: &'static str,
    pub(super) name: &'static str,
    /// IANA name.
    pub(super) time_zone: &'static str,
    /// Seed of its random data.
    pub(super) seed: u64,
    /// City, state and ZIP code of its patients.
    pub(super) place: (&'static str, &'static str, &'static str),
    /// Name, title, specialty; the first has id 1. [`WINDOWS`] has their hours.
    providers: [(&'static str, &'static str, &'static str); 4],
}

pub(super) const PRACTICES: [DemoPractice; 2] = [
    DemoPractice {
        practicepass: "DemoOffice",
        name: "Demo Office",
        time_zone: "America/New_York",
        seed: 1,
        place: ("New York", "NY", "10001"),
        providers: [
            ("Jane Smith", "PA-C", "Aesthetics"),
            ("Omar Haddad", "MD", "Dermatology"),
            ("Lena Fischer", "NP", "Family Medicine"),
            ("Priya Raman", "MD", "Sleep Medicine"),
        ],
    },
    DemoPractice {
        practicepass: "LakesideClinic",
        name: "Lakeside Clinic",
        time_zone: "America/Chicago",
        seed: 2,
        place: ("Chicago", "IL", "60601"),
        providers: [
            ("María Alvarez", "MD", "Family Medicine"),
            ("David Kim", "DO", "Sports Medicine"),
            ("Ruth Adeyemi", "NP", "Pediatrics"),
            ("Tom Becker", "PA-C", "Sleep Medicine"),
        ],
    },
];

const WEEKDAYS: &[i64] = &[1, 2, 3, 4, 5];

/// Provider, ISO weekdays, start and end: with lunch breaks, late hours, and nights that end on the
/// next day.
const WINDOWS: &[(i64, &[i64], Time, Time)] = &[
    (1, WEEKDAYS, hour(9, 0), hour(12, 0)),
    (1, WEEKDAYS, hour(13, 0), hour(17, 0)),
    (2, WEEKDAYS, hour(8, 0), hour(12, 0)),
    (2, WEEKDAYS, hour(12, 30), hour(16, 30)),
    (3, &[1, 2, 3, 4], hour(10, 0), hour(13, 0)),
    (3, &[1, 2, 3, 4], hour(14, 0), hour(19, 0)),
    (3, &[6], hour(9, 0), hour(13, 0)),
    (4, &[2], hour(12, 0), hour(18, 0)),
    (4, &[5, 6], hour(20, 0), hour(2, 0)),
];

/// Rooms with their ids.
const ROOMS: &[(i64, &str)] =
    &[(101, "Room 1"), (102, "Room 2"), (103, "Procedure room"), (104, "Sleep laboratory")];

/// A kind of visit.
pub(super) struct VisitType {
    pub(super) name: &'static str,
    active: bool,
    /// Minutes the provider needs before and after; at most [`MOST_BUFFER`].
    pub(super) buffers: (i64, i64),
    pub(super) providers: &'static [i64],
    /// A visit needs one of these, or no room if empty.
    pub(super) rooms: &'static [i64],
}

/// The longest buffer in minutes.
pub(super) const MOST_BUFFER: i64 = 15;

pub(super) const VISIT_TYPES: &[VisitType] = &[
    VisitType { name: "Consult", active: true, buffers: (0, 0), providers: &[1, 2], rooms: &[101, 102] },
    VisitType { name: "FOLLOWUP", active: true, buffers: (0, 0), providers: &[1, 2, 3, 4], rooms: &[] },
    VisitType { name: "Procedure", active: true, buffers: (10, 15), providers: &[1, 2], rooms: &[103] },
    VisitType { name: "New Patient", active: true, buffers: (0, 5), providers: &[3], rooms: &[] },
    VisitType { name: "Sleep Study", active: true, buffers: (0, 0), providers: &[4], rooms: &[104] },
    VisitType { name: "House Call", active: false, buffers: (0, 0), providers: &[], rooms: &[] },
];

/// A schedule exception; no provider means the whole practice.
pub(super) struct Different {
    pub(super) provider: Option<i64>,
    pub(super) exception: ScheduleException,
}

impl DemoPractice {
    pub(super) fn provider_ids(&self) -> std::ops::RangeInclusive<i64> {
        1..=i64::try_from(self.providers.len()).unwrap_or_default()
    }

    /// Writes everything that does not depend on patients.
    pub(super) fn write(&self, script: &mut Script, today: Date) {
        let providers: Vec<_> = self
            .provider_ids()
            .zip(self.providers)
            .map(|(id, (name, title, specialty))| row![id, name, title, specialty])
            .collect();
        script.insert("providers (provider_id, name, title, specialty)", &providers);
        let rooms: Vec<_> = ROOMS.iter().map(|(id, name)| row![*id, *name]).collect();
        script.insert("resources (resource_id, name)", &rooms);
        write_visit_types(script);
        let hours: Vec<_> = self
            .provider_ids()
            .flat_map(|id| hours_of(id).into_iter().map(move |it| row![id, it.weekday, it.start, it.end]))
            .collect();
        script.insert("working_hours (provider_id, weekday, start_time, end_time)", &hours);
        let different: Vec<_> = different_days(today)
            .into_iter()
            .map(|day| match day.exception {
                ScheduleException::DayOff { date } => {
                    row![day.provider, date, "off", None::<Time>, None::<Time>]
                }
                ScheduleException::Off { date, start, end } => row![day.provider, date, "off", start, end],
                ScheduleException::Custom { date, start, end, .. } => {
                    row![day.provider, date, "custom", start, end]
                }
            })
            .collect();
        script.insert(
            "schedule_exceptions (provider_id, exception_date, kind, start_time, end_time)",
            &different,
        );
    }
}

fn write_visit_types(script: &mut Script) {
    let types: Vec<_> =
        VISIT_TYPES.iter().map(|it| row![it.name, it.active, it.buffers.0, it.buffers.1]).collect();
    script.insert("visit_types (visit_type, active, buffer_before, buffer_after)", &types);
    let pairs = |of: fn(&VisitType) -> &'static [i64]| -> Vec<_> {
        VISIT_TYPES.iter().flat_map(|it| of(it).iter().map(|id| row![it.name, *id])).collect()
    };
    script.insert("visit_type_providers (visit_type, provider_id)", &pairs(|it| it.providers));
    script.insert("visit_type_resources (visit_type, resource_id)", &pairs(|it| it.rooms));
}

/// Returns a provider's weekly hours.
pub(super) fn hours_of(provider: i64) -> Vec<WorkingHours> {
    let own = WINDOWS.iter().filter(|(id, ..)| *id == provider);
    own.flat_map(|(_, weekdays, start, end)| {
        weekdays.iter().map(|weekday| WorkingHours {
            weekday: *weekday,
            start: *start,
            end: *end,
            valid_from: None,
            valid_to: None,
        })
    })
    .collect()
}

/// Returns the schedule exceptions in the weeks around today.
pub(super) fn different_days(today: Date) -> Vec<Different> {
    let on = |days: i32| working_day(today.saturating_add(Span::new().days(days)));
    let custom = |date, start, end| ScheduleException::Custom { date, start, end, own: true };
    vec![
        Different { provider: None, exception: ScheduleException::DayOff { date: on(10) } },
        Different { provider: Some(1), exception: ScheduleException::DayOff { date: on(5) } },
        Different { provider: Some(2), exception: custom(on(3), hour(10, 0), hour(14, 0)) },
        Different {
            provider: Some(3),
            exception: ScheduleException::Off { date: on(2), start: hour(14, 0), end: hour(16, 0) },
        },
    ]
}

/// Returns the date, or the next Monday if it is on a weekend.
fn working_day(date: Date) -> Date {
    let days = match date.weekday() {
        Weekday::Saturday => 2,
        Weekday::Sunday => 1,
        _ => 0,
    };
    date.saturating_add(Span::new().days(days))
}

const fn hour(hour: i8, minute: i8) -> civil::Time {
    time(hour, minute, 0, 0)
}
