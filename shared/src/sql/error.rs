//! Errors of a practice database.

use crate::domain::PracticeFault;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A rule that the database itself enforces and that a statement violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    ProviderFree,
    RoomFree,
    PatientFree,
    ForeignKey,
    /// The practice's EMR has no such visit type.
    EmrVisitType,
    /// A column or rule of the EMR's tables rejected the value.
    Emr,
    Other,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, overloaded or not responding. The caller may retry.
    #[error("the practice database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The circuit breaker is open, because the database was unavailable a moment ago.
    ///
    /// The caller may retry.
    #[error("the practice database was unavailable a moment ago")]
    CircuitOpen,
    /// The transaction conflicted with another one. A retry may succeed at once.
    #[error("the transaction conflicted with another one")]
    Contended(#[source] sqlx::Error),
    #[error("the database rejected the statement: {0:?}")]
    Refused(Constraint),
    /// The practice's time zone changed after the database was opened. The next call reopens it.
    #[error("the practice's time zone has just changed")]
    TimeZoneChanged,
    /// The database does not belong to the practice that the registry names.
    #[error("the database at this address belongs to another practice")]
    WrongDatabase,
    #[error("the practice's entry in the registry is not valid: {0}")]
    Registry(String),
    /// Connecting is impossible, whatever the server does.
    #[error("the connection string is not valid: {0}")]
    ConnectionString(String),
    /// Another migration holds the lock. A retry may succeed after it has finished.
    #[error("another migration of this database is under way")]
    Migrating,
    #[error("the schema could not be upgraded")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
}

/// Codes that a server returns for a connection string that was replaced.
///
/// `invalid_password`, `invalid_authorization_specification`, `invalid_catalog_name`,
/// `object_not_in_prerequisite_state` (the database was closed with `allow_connections false`).
const LOGIN_REFUSED: [&str; 4] = ["28P01", "28000", "3D000", "55000"];

const LOCK_NOT_AVAILABLE: &str = "55P03";
/// The class of errors of a foreign data wrapper.
const FOREIGN_SERVER: &str = "HV";

impl Error {
    /// Whether the database exists but rejects the login of this connection string.
    pub fn is_refused_login(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| LOGIN_REFUSED.contains(&&*code))
    }

    /// Returns the reason as administrators see it.
    pub fn fault(&self) -> PracticeFault {
        match self {
            Self::Unavailable(_) if self.is_refused_login() => PracticeFault::RefusedLogin,
            Self::Unavailable(_) | Self::CircuitOpen | Self::Contended(_) => PracticeFault::Unreachable,
            Self::WrongDatabase => PracticeFault::WrongDatabase,
            Self::Registry(_) | Self::ConnectionString(_) => PracticeFault::NotRegistered,
            Self::Refused(_)
            | Self::TimeZoneChanged
            | Self::Migrating
            | Self::Migrate(_)
            | Self::Statement(_) => PracticeFault::StatementFailed,
        }
    }

    /// Whether the server of the practice's EMR did not answer; its own database did.
    pub fn is_of_emr(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| code.starts_with(FOREIGN_SERVER))
    }

    /// Whether another transaction held a lock for longer than the wait for it was allowed to last.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        let Self::Unavailable(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| code == LOCK_NOT_AVAILABLE)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                match classify(&code, database.message(), database.constraint()) {
                    Class::Contended => Self::Contended(error),
                    Class::Unavailable => Self::Unavailable(error),
                    Class::Refused(constraint) => Self::Refused(constraint),
                    Class::Other => Self::Statement(error),
                }
            }
            _ => Self::Statement(error),
        }
    }
}

/// Primary keys of the tables in which the API chooses its own ids.
const OWN_IDS: [&str; 7] = [
    "visits_pkey",
    "patients_pkey",
    "tickets_pkey",
    "ticket_comments_pkey",
    "ticket_history_pkey",
    "log_pkey",
    "products_pkey",
];

enum Class {
    Contended,
    Unavailable,
    Refused(Constraint),
    Other,
}

/// Classifies an error by its code.
///
/// That is the SQLSTATE (`PostgreSQL`, appendix A) or the extended result code (`SQLite`,
/// rescode.html).
fn classify(code: &str, message: &str, constraint: Option<&str>) -> Class {
    let named = |name: &str| constraint == Some(name) || message.contains(name);
    match code {
        // serialization_failure, deadlock_detected, triggered_data_change_violation (the EMR's
        // waiting change of a row was applied within the statement that changes it); SQLITE_BUSY
        // and SQLITE_LOCKED and their variants
        "40001" | "40P01" | "27000" | "5" | "6" | "261" | "262" | "517" | "773" => Class::Contended,
        // unique_violation: another transaction chose the same id and committed first.
        "23505" if constraint.is_some_and(|it| OWN_IDS.contains(&it)) => Class::Contended,
        // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, query_canceled,
        // lock_not_available (after the full wait); disk full, I/O errors, a file that cannot be
        // opened
        "57P01" | "57P02" | "57P03" | "53300" | "57014" | LOCK_NOT_AVAILABLE | "13" | "10" | "14" => {
            Class::Unavailable
        }
        // exclusion_violation; SQLITE_CONSTRAINT_TRIGGER
        "23P01" | "1811" if named("visits_provider_free") => Class::Refused(Constraint::ProviderFree),
        "23P01" | "1811" if named("visits_room_free") => Class::Refused(Constraint::RoomFree),
        "23P01" | "1811" if named("visits_patient_free") => Class::Refused(Constraint::PatientFree),
        // check_violation, raised by a bridge
        "23514" if constraint == Some("emr_visit_type") => Class::Refused(Constraint::EmrVisitType),
        "23514" if constraint == Some("emr_refuses") => Class::Refused(Constraint::Emr),
        // foreign_key_violation
        "23503" | "787" => Class::Refused(Constraint::ForeignKey),
        _ if code.starts_with(FOREIGN_SERVER) => Class::Unavailable,
        _ if code.starts_with("08") || LOGIN_REFUSED.contains(&code) => Class::Unavailable,
        _ if code.starts_with("23") || code == "19" || code == "2067" || code == "1555" => {
            Class::Refused(Constraint::Other)
        }
        _ => Class::Other,
    }
}
