//! Timeouts that no machine is too slow for: in tests that are not about a timeout, none strikes.

use shared::sql;
use std::time::Duration;

use shared::{config, egress};

use super::waiting::SLOWEST;

/// A test gives up waiting before a timeout of the product's helps it.
const LONGER: Duration = SLOWEST.saturating_mul(5);

/// Those of a practice's database and of the catalog.
pub(crate) const DATABASE: sql::Timeouts = sql::Timeouts {
    connect: LONGER,
    round_trip: LONGER,
    probe: LONGER,
    file_lock: LONGER,
    before_search: LONGER,
    cooldown: Duration::from_secs(1),
    server: Some(sql::ServerTimeouts { lock: LONGER, statement: LONGER, idle: LONGER }),
};

/// Those of partners' endpoints.
pub(crate) const ENDPOINT: egress::Timeouts = egress::Timeouts { connect: LONGER, total: LONGER };

/// All others. What is known of a subscription is as old as in production; a change of it is not
/// waited for.
pub(crate) fn of_work() -> config::Timeouts {
    config::Timeouts {
        quick_answer: LONGER,
        hanging_answer: LONGER,
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

/// Those of a client of AWS's, whose types the SDK's crates share.
pub(crate) fn of_stores() -> aws_sdk_dynamodb::config::timeout::TimeoutConfig {
    aws_sdk_dynamodb::config::timeout::TimeoutConfig::builder()
        .connect_timeout(LONGER)
        .read_timeout(LONGER)
        .operation_timeout(LONGER)
        .build()
}
