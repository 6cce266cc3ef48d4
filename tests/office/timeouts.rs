//! Timeouts that suffice for any machine: in tests that are not about a timeout, none expires.

use shared::sql;
use std::time::Duration;

use shared::{config, egress};

use super::waiting::SLOWEST;

/// A test stops waiting before one of the product's timeouts ends the wait.
const LONGER: Duration = SLOWEST.saturating_mul(5);

/// The timeouts of a practice's database and of the catalog.
pub(crate) const DATABASE: sql::Timeouts = sql::Timeouts {
    connect: LONGER,
    round_trip: LONGER,
    probe: LONGER,
    file_lock: LONGER,
    before_search: LONGER,
    cooldown: Duration::from_secs(1),
    server: Some(sql::ServerTimeouts { lock: LONGER, statement: LONGER, idle: LONGER }),
};

/// The timeouts of partners' endpoints.
pub(crate) const ENDPOINT: egress::Timeouts = egress::Timeouts { connect: LONGER, total: LONGER };

/// All other timeouts. Data about a subscription may be as old as in production, but tests do not
/// wait for a change to become known.
pub(crate) fn of_work() -> config::Timeouts {
    config::Timeouts {
        quick_answer: LONGER,
        hanging_answer: LONGER,
        endpoint_health: LONGER,
        subscription_change: Duration::ZERO,
        call_records: LONGER,
        polled_database: LONGER,
        polled_turn: LONGER,
        polled_patients: LONGER,
        released_leases: LONGER,
        run_record: LONGER,
        readiness_check: LONGER,
        audit_of_a_failure: LONGER,
        ..config::Timeouts::default()
    }
}

/// The timeouts of an AWS client, whose types the SDK's crates share.
pub(crate) fn of_stores() -> aws_sdk_dynamodb::config::timeout::TimeoutConfig {
    aws_sdk_dynamodb::config::timeout::TimeoutConfig::builder()
        .connect_timeout(LONGER)
        .read_timeout(LONGER)
        .operation_timeout(LONGER)
        .build()
}
