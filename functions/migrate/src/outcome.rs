//! The result for one database.

use serde::{Deserialize, Serialize};
use shared::tenant::Collision;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Migrated,
    /// It was known to be at the newest version, or a newer one than the function knows; the
    /// migrations ran all the same and had nothing to do.
    Current,
    /// The connection string to be tried is good; one that is pending opens the right database,
    /// which has the newest schema now.
    Usable,
    /// There was more to do than time; the next invocation goes on.
    Unfinished,
    /// A new stack's catalog, whose secret holds no connection string yet.
    Unset,
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct DatabaseOutcome {
    pub status: Status,
    /// The newest migration that the function knows.
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Visits that new time-zone rules put on others; the practice has to move them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collisions: Vec<Collision>,
    /// What was seen at the address of a connection string that was tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
}

/// What was done.
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
