//! What became of one database.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Migrated,
    /// It was known to be at the newest version, or a newer one than the function knows; the migrations ran all the same and had nothing to do.
    Current,
    /// The connection string to be tried opens the right database, which has the newest schema now.
    Usable,
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub status: Status,
    /// The newest migration that the function knows.
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Outcome {
    pub(crate) fn of(done: Result<Status, String>, version: i64) -> Self {
        match done {
            Ok(status) => Self { status, version, error: None },
            Err(error) => Self { status: Status::Failed, version, error: Some(error) },
        }
    }
}
