//! The error type of the operators' commands and the local stack. Every variant displays as a
//! message for the user.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why a command, or the local stack, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An I/O error; the text names the file, folder, socket or program.
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
    /// Returns a function that names the file or folder of an I/O error.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(path.display().to_string())
    }

    /// Returns a function that names what an I/O error concerns.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io(what, error)
    }

    /// Returns the failure of a store, or of what `what` names.
    pub fn store(what: &str, error: impl Display) -> Self {
        Self::Store(format!("{what}: {error}"))
    }
}

/// The result of a command, or of a part of the local stack.
pub type Result<T> = std::result::Result<T, Error>;
