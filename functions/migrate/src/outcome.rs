//! The result for one database.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::tenant::Collision;

/// The state of a database after a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Migrated,
    /// The registry already had this or a newer version. Migrations ran without effect.
    Current,
    /// The tested connection string works.
    ///
    /// A pending one opens the right database, which now has the newest schema.
    Usable,
    /// Time ran out; the next invocation continues.
    Unfinished,
    /// The catalog of a new stack, whose secret contains no connection string yet.
    Unset,
    Failed,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Migrated => "migrated",
            Self::Current => "current",
            Self::Usable => "usable",
            Self::Unfinished => "unfinished",
            Self::Unset => "unset",
            Self::Failed => "failed",
        })
    }
}

/// The result for one database.
#[derive(Debug, Serialize, Deserialize)]
pub struct DatabaseOutcome {
    pub status: Status,
    /// The newest migration that the function knows.
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Visits that overlap others because of new time-zone rules; the practice must move them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collisions: Vec<Collision>,
    /// Findings at the address of a tested connection string.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
}

/// The result of work that succeeded.
pub(crate) struct Done {
    pub(crate) status: Status,
    pub(crate) collisions: Vec<Collision>,
    pub(crate) found: Vec<String>,
}

impl From<Status> for Done {
    fn from(status: Status) -> Self {
        Self { status, collisions: Vec::new(), found: Vec::new() }
    }
}

impl DatabaseOutcome {
    pub(crate) fn of(done: Result<Done, String>, version: i64) -> Self {
        match done {
            Ok(Done { status, collisions, found }) => {
                Self { status, version, error: None, collisions, found }
            }
            Err(error) => Self {
                status: Status::Failed,
                version,
                error: Some(error),
                collisions: Vec::new(),
                found: Vec::new(),
            },
        }
    }
}
