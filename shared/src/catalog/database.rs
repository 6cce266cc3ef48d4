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
    tenant::{Admission, DataProblems, Database, Error, Health, Reporter, Result, Timeouts, silence},
};

/// A pool older than this by the wall clock is opened anew, as those of practices are.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
const CONNECTIONS: u32 = 2;

/// The catalog's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogDb(Database);

/// The catalog, opened on first use.
pub struct Catalogs {
    open: Mutex<Option<(CatalogDb, Timestamp)>>,
    health: Arc<Health>,
    connections: u32,
    timeouts: Timeouts,
    problems: Arc<DataProblems>,
}

impl Default for Catalogs {
    /// For calls: as many connections as one request at a time needs, and timeouts that a caller can wait for.
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            health: Arc::default(),
            connections: CONNECTIONS,
            timeouts: Timeouts::OF_CALLERS,
            problems: Arc::default(),
        }
    }
}

impl Catalogs {
    /// For many calls at a time.
    pub fn patient(connections: u32) -> Self {
        Self { connections, timeouts: Timeouts::OF_BACKGROUND, ..Self::default() }
    }

    /// With other timeouts than the usual ones.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The catalog; `locate` is asked for its DSN when it isn't open. Connections are made on first use.
    ///
    /// # Errors
    /// [`Error::LetBe`] soon after it was unavailable; [`Error::Registry`] for a DSN that can't be read; whatever `locate` fails
    /// with.
    pub async fn open<E: From<Error>>(
        &self,
        _: &CatalogGrant,
        now: Timestamp,
        locate: impl AsyncFnOnce() -> Result<Arc<str>, E>,
    ) -> Result<CatalogDb, E> {
        let admission = self.health.admit(self.timeouts, Instant::now());
        if admission == Admission::LetBe {
            return Err(Error::LetBe.into());
        }
        let kept = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The connections from before a failure may be dead without knowing it.
        let kept = kept.filter(|_| admission == Admission::Open);
        if let Some((db, opened)) = kept
            && now.duration_since(opened) < MAX_AGE
        {
            return Ok(db);
        }
        let dsn = locate().await?;
        let reporter = Arc::new(Reporter::of_catalog(&self.problems));
        let db =
            Database::connect(&dsn, None, self.connections, self.timeouts, self.health.clone(), reporter)?;
        if admission == Admission::Probe {
            self.probe(&db).await?;
        }
        let db = CatalogDb(db);
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((db.clone(), now));
        Ok(db)
    }

    async fn probe(&self, db: &Database) -> Result<()> {
        let connected = timeout(self.timeouts.probe, db.connection()).await;
        match connected.unwrap_or_else(|_| Err(Error::Unavailable(silence()))) {
            Ok(_) => self.health.answered(),
            Err(error) => {
                self.health.failed(self.timeouts, Instant::now());
                return Err(error);
            }
        }
        Ok(())
    }

    /// The rows that could not be read.
    pub fn data_problems(&self) -> &DataProblems {
        &self.problems
    }

    /// Lets go of the catalog, so that the next call asks where it is.
    pub fn forget(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // What failed was another place.
        self.health.answered();
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
