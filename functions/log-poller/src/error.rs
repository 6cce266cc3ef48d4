//! Why a practice could not be polled.

use shared::{
    app::{self, App},
    control,
    domain::PracticeFault,
    sql,
};

/// Why a practice could not be polled.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    #[error(transparent)]
    App(#[from] app::Error),
    #[error(transparent)]
    Tenant(#[from] sql::Error),
    #[error(transparent)]
    Control(#[from] control::Error),
    #[error("the practice's database does not respond")]
    Silent,
}

impl PracticeError {
    /// The reason as administrators see it.
    pub(crate) fn fault(&self) -> PracticeFault {
        match self {
            Self::App(error) => error.fault(),
            Self::Tenant(error) => error.fault(),
            Self::Control(_) => PracticeFault::StoreFailed,
            Self::Silent => PracticeFault::Unreachable,
        }
    }
}

/// Limits an operation on a practice's database.
pub(crate) async fn in_time<T, E: Into<PracticeError>>(
    app: &App,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, PracticeError> {
    match tokio::time::timeout(app.config.timeouts.polled_database, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(PracticeError::Silent),
    }
}
