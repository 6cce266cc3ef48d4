//! Timeouts that no machine is too slow for: in tests that are not about a timeout, none strikes.

use std::time::Duration;

use shared::{config, egress, tenant};

use super::waiting::SLOWEST;

/// Those of a practice's database and of the catalog.
pub(crate) const DATABASE: tenant::Timeouts = tenant::Timeouts {
    round_trip: SLOWEST,
    probe: SLOWEST,
    file_lock: SLOWEST,
    cooldown: Duration::from_secs(1),
    server: Some(tenant::ServerTimeouts { lock: SLOWEST, statement: SLOWEST, idle: SLOWEST }),
};

/// Those of partners' endpoints.
pub(crate) const ENDPOINT: egress::Timeouts = egress::Timeouts { connect: SLOWEST, total: SLOWEST };

/// All others. What is known of a subscription is as old as in production; a change of it is not waited for.
pub(crate) fn of_work() -> config::Timeouts {
    config::Timeouts {
        quick_answer: SLOWEST,
        hanging_answer: SLOWEST,
        subscription_change: Duration::ZERO,
        call_records: SLOWEST,
        polled_database: SLOWEST,
        polled_patients: SLOWEST,
        ..config::Timeouts::default()
    }
}

/// Those of a client of AWS's, whose types the SDK's crates share.
pub(crate) fn of_stores() -> aws_sdk_dynamodb::config::timeout::TimeoutConfig {
    aws_sdk_dynamodb::config::timeout::TimeoutConfig::builder()
        .connect_timeout(SLOWEST)
        .read_timeout(SLOWEST)
        .operation_timeout(SLOWEST)
        .build()
}
