//! The open catalog of this process.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    auth::CatalogGrant,
    tenant::{Database, Error, Result},
};

/// A pool older than this by the wall clock is opened anew, as those of practices are.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
const CONNECTIONS: u32 = 2;

/// The catalog's database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogDb(Database);

/// The catalog, opened on first use.
#[derive(Default)]
pub struct Catalogs {
    open: Mutex<Option<(CatalogDb, Timestamp)>>,
    max_connections: Option<u32>,
}

impl Catalogs {
    /// With more connections than Lambda's one-request-at-a-time needs.
    pub fn with_connections(max_connections: u32) -> Self {
        Self { max_connections: Some(max_connections), ..Self::default() }
    }

    /// The catalog; `locate` is asked for its DSN when it isn't open. Connections are made on first use.
    ///
    /// # Errors
    /// [`Error::Registry`] for a DSN that can't be read; whatever `locate` fails with.
    pub async fn open<E: From<Error>>(
        &self,
        _: &CatalogGrant,
        now: Timestamp,
        locate: impl AsyncFnOnce() -> Result<Arc<str>, E>,
    ) -> Result<CatalogDb, E> {
        let kept = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((db, opened)) = kept
            && now.duration_since(opened) < MAX_AGE
        {
            return Ok(db);
        }
        let dsn = locate().await?;
        let db = CatalogDb(Database::connect(&dsn, self.max_connections.unwrap_or(CONNECTIONS))?);
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((db.clone(), now));
        Ok(db)
    }

    /// Lets go of the catalog, so that the next call asks where it is.
    pub fn forget(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
