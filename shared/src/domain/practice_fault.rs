//! Faults of a practice's database, as administrators see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a practice, or the catalog, is unavailable or degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PracticeFault {
    /// The database does not respond, or refuses connections.
    Unreachable,
    /// The database rejects the user name or the password.
    RefusedLogin,
    /// The database belongs to another practice.
    WrongDatabase,
    /// The database rejects a statement, usually because it has not been migrated.
    StatementFailed,
    /// The practice registry has no entry for the practice, or an unusable one.
    NotRegistered,
    /// The connection string cannot be read.
    NoConnectionString,
    /// The control plane or the queue failed.
    StoreFailed,
    /// The database may not have the newest schema.
    OldSchema,
    /// The visits may not follow the newest time-zone rules.
    OldTimeZoneRules,
}
