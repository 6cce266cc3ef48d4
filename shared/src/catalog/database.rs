//! The open catalog of this process.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::{
    auth::CatalogGrant,
    sql::{Admission, CircuitBreaker, DataProblems, Database, Error, Reporter, Result, Timeouts, timed_out},
};

/// The age by wall clock after which the pool is reopened, as for practices.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
const CONNECTIONS: u32 = 2;

/// The catalog's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogDb(Database);

/// The catalog, opened on first use.
pub struct Catalogs {
    open: Mutex<Option<(CatalogDb, Timestamp)>>,
    breaker: Arc<CircuitBreaker>,
    connections: u32,
    timeouts: Timeouts,
    problems: Arc<DataProblems>,
}

impl Default for Catalogs {
    /// For API calls: connections for one request at a time, and timeouts that suit a caller.
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            breaker: Arc::default(),
            connections: CONNECTIONS,
            timeouts: Timeouts::OF_CALLERS,
            problems: Arc::default(),
        }
    }
}

impl Catalogs {
    /// For background work, and for many concurrent calls.
    pub fn for_background_work(connections: u32) -> Self {
        Self { connections, timeouts: Timeouts::OF_BACKGROUND, ..Self::default() }
    }

    /// Replaces the default timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Returns the catalog; calls `locate` for its DSN if it is not open. Connects on first use.
    ///
    /// # Errors
    /// [`Error::CircuitOpen`] soon after the catalog was unavailable; [`Error::ConnectionString`]
    /// for a DSN that is not valid; errors of `locate`.
    pub async fn open<E: From<Error>>(
        &self,
        _: &CatalogGrant,
        now: Timestamp,
        locate: impl AsyncFnOnce() -> Result<Arc<str>, E>,
    ) -> Result<CatalogDb, E> {
        let admission = self.breaker.admit(self.timeouts, Instant::now());
        if admission == Admission::Reject {
            return Err(Error::CircuitOpen.into());
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Connections from before a failure may be dead without showing it.
        let open = open.filter(|_| admission == Admission::Accept);
        if let Some((db, opened)) = open
            && now.duration_since(opened) < MAX_AGE
        {
            return Ok(db);
        }
        let dsn = locate().await?;
        let reporter = Arc::new(Reporter::of_catalog(&self.problems));
        let db =
            Database::connect(&dsn, None, self.connections, self.timeouts, self.breaker.clone(), reporter)?;
        if admission == Admission::Probe {
            self.probe(&db).await?;
        }
        let db = CatalogDb(db);
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((db.clone(), now));
        Ok(db)
    }

    async fn probe(&self, db: &Database) -> Result<()> {
        let connected = timeout(self.timeouts.probe, db.connection()).await;
        match connected.unwrap_or_else(|_| Err(Error::Unavailable(timed_out()))) {
            Ok(_) => self.breaker.close(),
            Err(error) => {
                self.breaker.record_failure(self.timeouts, Instant::now());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns the unreadable rows of the catalog.
    pub fn data_problems(&self) -> &DataProblems {
        &self.problems
    }

    /// Closes the catalog, so that the next call locates it again.
    pub fn forget(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The failures concerned the previous location.
        self.breaker.close();
    }
}

impl CatalogDb {
    pub(super) fn new(database: Database) -> Self {
        Self(database)
    }
}

impl Deref for CatalogDb {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}
