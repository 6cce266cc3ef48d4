//! The open practice databases of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio::sync::OnceCell;

use super::{Database, Error, Result, TenantDb};
use crate::{auth::PracticeGrant, domain::PracticePass};

/// Where a practice's database is; from the practice registry alone.
#[derive(Clone)]
pub struct Location {
    /// `postgres://…` or `sqlite://<path>`. Secret: it may hold a password.
    pub dsn: String,
    /// IANA name.
    pub time_zone: String,
}

/// At most so many practices are kept open; the least recently used is closed for another.
const MAX_OPEN: usize = 32;
/// A pool older than this by the wall clock is opened anew (Lambda freezes timers, so idle time-outs can't do it), which
/// also takes up a changed DSN.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
const CONNECTIONS: u32 = 2;

struct Entry {
    cell: Arc<OnceCell<TenantDb>>,
    opened: Timestamp,
    used: Timestamp,
}

/// The open practice databases, opened on first use, each behind a cell of its own so that a slow one holds up no other.
#[derive(Default)]
pub struct Practices {
    entries: Mutex<HashMap<PracticePass, Entry>>,
    max_connections: Option<u32>,
}

impl Practices {
    /// With more connections a practice than Lambda's one-request-at-a-time needs.
    pub fn with_connections(max_connections: u32) -> Self {
        Self { max_connections: Some(max_connections), ..Self::default() }
    }

    /// The database of the practice that `grant` opens; `locate` is asked where it is when it isn't open.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::WrongDatabase`], [`Error::Registry`]; whatever `locate` fails with.
    pub async fn open<E: From<Error>>(
        &self,
        grant: &PracticeGrant,
        now: Timestamp,
        locate: impl AsyncFnOnce() -> Result<Location, E>,
    ) -> Result<TenantDb, E> {
        let practicepass = grant.practicepass();
        let cell = self.cell(practicepass, now);
        let opened = cell
            .get_or_try_init(async || {
                let location = locate().await?;
                open(practicepass, &location, self.max_connections.unwrap_or(CONNECTIONS))
                    .await
                    .map_err(E::from)
            })
            .await?;
        Ok(opened.clone())
    }

    /// Lets go of a practice's database, so that the next call asks where it is.
    pub fn forget(&self, practicepass: &PracticePass) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(practicepass);
    }

    fn cell(&self, practicepass: &PracticePass, now: Timestamp) -> Arc<OnceCell<TenantDb>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| now.duration_since(entry.opened) < MAX_AGE);
        if !entries.contains_key(practicepass) && entries.len() >= MAX_OPEN {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(pass, _)| pass.clone());
            oldest.and_then(|pass| entries.remove(&pass));
        }
        let entry = entries.entry(practicepass.clone()).or_insert_with(|| Entry {
            cell: Arc::default(),
            opened: now,
            used: now,
        });
        entry.used = now;
        entry.cell.clone()
    }
}

async fn open(practicepass: &PracticePass, location: &Location, connections: u32) -> Result<TenantDb> {
    let time_zone = TimeZone::get(&location.time_zone)
        .map_err(|_| Error::Registry(format!("unknown time zone {:?}", location.time_zone)))?;
    let database = Database::connect(&location.dsn, connections)?;
    let db = TenantDb::new(database, practicepass.clone(), time_zone);
    db.check_identity().await?;
    Ok(db)
}

impl TenantDb {
    /// Refuses a database whose `tenant_identity` names another practice: a swapped DSN opens nothing.
    async fn check_identity(&self) -> Result<()> {
        let mut conn = self.connection().await?;
        let owner: Option<String> = super::on!(&mut conn, c => sqlx::query_scalar(
            "select ppass from tenant_identity where singleton = 1",
        ).fetch_optional(c).await)?;
        if owner.as_deref() == Some(self.practicepass().as_str()) {
            Ok(())
        } else {
            Err(Error::WrongDatabase)
        }
    }
}
