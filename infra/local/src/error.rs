//! The error type of the local stack. Every variant displays as a message for the user.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why the local stack can't start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An I/O error; the text names the file, folder, socket or process.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// `template.yaml` contains something that the local stack does not support.
    #[error("template.yaml: {0}")]
    Template(String),
    /// One of the local stores (DynamoDB, SQS, secrets) failed.
    #[error("{0}")]
    Store(String),
    /// `cargo build` failed or produced no binary.
    #[error("{0}")]
    Build(String),
    /// A part that is shared with the operators' commands failed.
    #[error(transparent)]
    Operator(#[from] officepro_operator::error::Error),
    /// The requested operation isn't possible.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        move |error| Self::Io(what, error)
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io(what, error)
    }

    pub(crate) fn store(what: &str, error: impl Display) -> Self {
        Self::Store(format!("{what}: {error}"))
    }
}

/// The local stack's result.
pub type Result<T> = std::result::Result<T, Error>;
