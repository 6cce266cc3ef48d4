//! What keeps a database from being used, for administrators.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a practice, or the catalog, is not served as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PracticeFault {
    /// The database does not answer, or refuses connections.
    Unreachable,
    /// The database refuses the role or the password.
    RefusedLogin,
    /// The database belongs to another practice.
    WrongDatabase,
    /// The database refuses a statement, most often because it is not migrated.
    StatementFailed,
    /// The practice registry has no entry for the practice, or one that cannot be used.
    NotRegistered,
    /// The connection string cannot be read.
    NoConnectionString,
    /// The control plane or the queue failed meanwhile.
    StoreFailed,
    /// The database is not known to have the newest schema.
    OldSchema,
    /// The visits are not known to follow the newest time-zone rules.
    OldTimeZoneRules,
}
