//! A test's own call records.

use jiff::{SignedDuration, Timestamp};
use shared::control::activity::CallRecord;

/// Returns this many calls of `GET /v1/me`, one per second from `first` on.
pub(crate) fn records(count: u32, first: &str) -> Vec<CallRecord> {
    let first: Timestamp = first.parse().unwrap();
    let record = |number: u32| CallRecord {
        id: format!("call{number:05}"),
        time: first + SignedDuration::from_secs(i64::from(number)),
        method: "GET".into(),
        endpoint: "/v1/me".into(),
        status: 200,
        duration_ms: u64::from(number),
        partner: Some("Northwind Health".into()),
        partner_id: Some("prt_northwind".into()),
        key_id: Some("NorthwindKey".into()),
        key_name: Some("Integration".into()),
        practicepass: Some("DemoOffice".into()),
        attempted_key_id: None,
        ip: Some("203.0.113.8".into()),
        request_id: format!("request-{number:05}"),
        replayed: false,
    };
    (0..count).map(record).collect()
}
