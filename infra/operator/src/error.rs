//! The error type of the operators' commands. Every variant displays as a message for the operator.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An I/O error; the text names the file or program.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// A store, or the machine's own services, failed.
    #[error("{0}")]
    Store(String),
    /// The requested operation isn't possible.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(path.display().to_string())
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io(what, error)
    }

    pub(crate) fn store(what: &str, error: impl Display) -> Self {
        Self::Store(format!("{what}: {error}"))
    }
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Error>;
