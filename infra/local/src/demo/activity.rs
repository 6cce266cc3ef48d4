//! A week of calls as partner systems make them: mostly in working hours, with few failures.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::auth::KeyRecord;
use shared::control::activity::CallRecord;

use super::dice::Dice;

const HOURS: i64 = 7 * 24;
/// Maximum number of calls of one key in a busy hour.
const BUSY: usize = 14;

/// Method, route, usual status, typical duration in milliseconds, and relative frequency.
const CALLS: &[(&str, &str, u16, i64, usize)] = &[
    ("POST", "/v1/{PPass}/auth/token", 200, 9, 2),
    ("GET", "/v1/{PPass}/prospects", 200, 14, 20),
    ("GET", "/v1/{PPass}/prospects/{id}", 200, 7, 14),
    ("POST", "/v1/{PPass}/prospects", 201, 18, 6),
    ("PUT", "/v1/{PPass}/prospects/{id}", 200, 16, 5),
    ("GET", "/v1/{PPass}/tags", 200, 6, 6),
    ("POST", "/v1/{PPass}/tags/prospects/{id}", 201, 12, 3),
    ("GET", "/v1/{PPass}/availability/providers", 200, 6, 8),
    ("GET", "/v1/{PPass}/availability/providers/{id}/slots", 200, 11, 18),
    ("GET", "/v1/{PPass}/availability/providers/{id}/next-slot", 200, 17, 7),
    ("GET", "/v1/{PPass}/visit-types", 200, 7, 4),
    ("POST", "/v1/{PPass}/visits/book", 201, 24, 5),
    ("GET", "/v1/me", 200, 5, 2),
];
/// How many of [`CALLS`], from the first, a key without the scheduling scopes makes.
const OF_PROSPECTS: usize = 7;

/// Generates the calls of the last week with these keys.
pub(super) fn calls(keys: &[(KeyRecord, TimeZone)], now: Timestamp) -> Vec<CallRecord> {
    let mut dice = Dice::new(3);
    let mut records = vec![];
    for (key, zone) in keys {
        let calls = if key.scopes.len() == 1 { &CALLS[..OF_PROSPECTS] } else { CALLS };
        let often: Vec<_> = calls.iter().flat_map(|call| std::iter::repeat_n(call, call.4)).collect();
        for hour in 1..=HOURS {
            let begin = now - SignedDuration::from_hours(hour);
            let local = zone.to_datetime(begin);
            let most = match (local.date().weekday().to_monday_one_offset(), local.hour()) {
                (1..=5, 8..=17) => BUSY,
                (_, 7..=20) => 3,
                _ => 1,
            };
            for _ in 0..=dice.below(most) {
                let time = begin + SignedDuration::from_millis(dice.between(0, 3_599_999));
                let call = **dice.pick(&often);
                let number = records.len();
                records.push(record(&mut dice, key, call, time, number));
            }
        }
    }
    records
}

fn record(
    dice: &mut Dice,
    key: &KeyRecord,
    (method, endpoint, usual, typical, _): (&str, &str, u16, i64, usize),
    time: Timestamp,
    number: usize,
) -> CallRecord {
    let status = match dice.below(100) {
        0 => 401,
        1 if endpoint.contains("{id}") => 404,
        2 | 3 if endpoint.ends_with("/book") => 409,
        4 if method != "GET" => 422,
        _ => usual,
    };
    CallRecord {
        id: format!("demo{number:06}"),
        time,
        method: method.to_owned(),
        endpoint: endpoint.to_owned(),
        status,
        duration_ms: dice.between(typical / 2, typical * 3).unsigned_abs(),
        partner: Some(key.partner.clone()),
        partner_id: Some(key.partner_id.to_string()),
        key_id: Some(key.id.to_string()),
        key_name: Some(key.name.clone()),
        practicepass: (endpoint != "/v1/me").then(|| key.practicepass.to_string()),
        // Addresses reserved for documentation (RFC 5737).
        attempted_key_id: None,
        ip: Some(if key.partner.starts_with('N') { "198.51.100.24" } else { "203.0.113.8" }.to_owned()),
        request_id: format!("req_demo{number:06}"),
        // Fictional calls and replays leave no trace in a practice's audit log.
        replayed: true,
    }
}
