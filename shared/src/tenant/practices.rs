//! The open practice databases of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::OnceCell, time::timeout};

use super::{
    Admission, DataProblems, Database, Error, Health, Reporter, Result, TenantDb, Timeouts, schema::SCHEMA,
    silence,
};
use crate::{
    auth::PracticeGrant,
    domain::{PracticePass, zones},
};

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
/// Likewise in background work, which comes back to each of its practices every few seconds.
const MAX_OPEN_IN_BACKGROUND: usize = 512;
/// A pool older than this by the wall clock is opened anew (Lambda freezes timers, so idle time-outs can't do it), which
/// also takes up a changed DSN.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
const CONNECTIONS: u32 = 2;

struct Entry {
    cell: Arc<OnceCell<TenantDb>>,
    health: Arc<Health>,
    opened: Timestamp,
    used: Timestamp,
}

/// The open practice databases, opened on first use, each behind a cell of its own so that a slow one holds up no other.
pub struct Practices {
    entries: Mutex<HashMap<PracticePass, Entry>>,
    max_open: usize,
    connections: u32,
    timeouts: Timeouts,
    problems: Arc<DataProblems>,
}

impl Default for Practices {
    /// For calls: as many connections as one request at a time needs, and timeouts that a caller can wait for.
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            max_open: MAX_OPEN,
            connections: CONNECTIONS,
            timeouts: Timeouts::OF_CALLERS,
            problems: Arc::default(),
        }
    }
}

impl Practices {
    /// For background work, and for many calls at a time.
    pub fn patient(connections: u32) -> Self {
        Self {
            entries: Mutex::default(),
            max_open: MAX_OPEN_IN_BACKGROUND,
            connections,
            timeouts: Timeouts::OF_BACKGROUND,
            problems: Arc::default(),
        }
    }

    /// With other timeouts than the usual ones.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The database of the practice that `grant` opens; `locate` is asked where it is when it isn't open.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and, soon after it, [`Error::LetBe`]; [`Error::WrongDatabase`], [`Error::Registry`]; whatever
    /// `locate` fails with.
    pub async fn open<E: From<Error>>(
        &self,
        grant: &PracticeGrant,
        now: Timestamp,
        locate: impl AsyncFnOnce() -> Result<Location, E>,
    ) -> Result<TenantDb, E> {
        let practicepass = grant.practicepass();
        let (cell, health, admission) = self.admit(practicepass, now)?;
        let is_probe = admission == Admission::Probe;
        let limit = if is_probe { self.timeouts.probe } else { self.timeouts.round_trip };
        let opened = cell
            .get_or_try_init(async || {
                let location = locate().await?;
                // Whoever waited here for another's attempt to fail has waited long enough.
                if !is_probe && health.is_ill(Instant::now()) {
                    return Err(Error::LetBe.into());
                }
                let opening = open(practicepass, &location, self, &health);
                let opened = timeout(limit, opening).await;
                let opened = opened.unwrap_or_else(|_| Err(Error::Unavailable(silence())));
                match &opened {
                    Ok(_) => health.answered(),
                    Err(Error::Unavailable(_)) => health.failed(self.timeouts, Instant::now()),
                    Err(_) => (),
                }
                opened.map_err(E::from)
            })
            .await?;
        Ok(opened.clone())
    }

    /// The rows that could not be read.
    pub fn data_problems(&self) -> &DataProblems {
        &self.problems
    }

    /// Lets go of a practice's database, so that the next call asks where it is.
    pub fn forget(&self, practicepass: &PracticePass) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(practicepass);
    }

    /// The practice's cell, if a call may have it.
    fn admit(
        &self,
        practicepass: &PracticePass,
        now: Timestamp,
    ) -> Result<(Arc<OnceCell<TenantDb>>, Arc<Health>, Admission)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, it| now.duration_since(it.opened) < MAX_AGE && !it.health.is_outdated());
        if !entries.contains_key(practicepass) && entries.len() >= self.max_open {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(pass, _)| pass.clone());
            oldest.and_then(|pass| entries.remove(&pass));
        }
        let entry = entries.entry(practicepass.clone()).or_insert_with(|| Entry {
            cell: Arc::default(),
            health: Arc::default(),
            opened: now,
            used: now,
        });
        entry.used = now;
        let admission = entry.health.admit(self.timeouts, Instant::now());
        match admission {
            Admission::Open => (),
            Admission::LetBe => return Err(Error::LetBe),
            // The old connections may be dead without knowing it.
            Admission::Probe => entry.cell = Arc::default(),
        }
        Ok((entry.cell.clone(), entry.health.clone(), admission))
    }
}

async fn open(
    practicepass: &PracticePass,
    location: &Location,
    of: &Practices,
    health: &Arc<Health>,
) -> Result<TenantDb> {
    let registered = zones::get(&location.time_zone)
        .ok_or_else(|| Error::Registry(format!("unknown time zone {:?}", location.time_zone)))?;
    let reporter = Arc::new(Reporter::of_practice(&of.problems, practicepass));
    let database = Database::connect(
        &location.dsn,
        Some(SCHEMA),
        of.connections,
        of.timeouts,
        health.clone(),
        reporter,
    )?;
    let db = TenantDb::new(database, practicepass.clone(), registered);
    let Some(time_zone) = db.check_identity().await? else { return Ok(db) };
    if time_zone == location.time_zone {
        return Ok(db);
    }
    // Its triggers convert by its own zone, so the calendar must, too.
    tracing::error!(
        practice = practicepass.as_str(),
        database = time_zone,
        registry = location.time_zone,
        "the practice's database and the registry name different time zones; `set-time-zone` repairs it"
    );
    let own = zones::get(&time_zone)
        .ok_or_else(|| Error::Registry(format!("the database has the unknown time zone {time_zone:?}")))?;
    Ok(db.with_time_zone(own))
}

impl TenantDb {
    /// The time zone that the database converts by; `None` until it is migrated.
    ///
    /// Refuses a database whose `tenant_identity` names another practice: a swapped DSN opens nothing.
    async fn check_identity(&self) -> Result<Option<String>> {
        let mut conn = self.connection().await?;
        let identity = super::on!(&mut conn, c => sqlx::query_as::<_, (String, Option<String>)>(
            "select ppass, time_zone from tenant_identity where singleton = 1",
        ).fetch_optional(c).await);
        let identity = match identity.map_err(Error::from) {
            // An older schema, e.g. of a backup, is to be migrated first.
            Err(Error::Statement(_)) => super::on!(&mut conn, c => sqlx::query_as(
                "select ppass, cast(null as text) from tenant_identity where singleton = 1",
            ).fetch_optional(c).await)?,
            identity => identity?,
        };
        match identity {
            Some((owner, time_zone)) if owner == self.practicepass().as_str() => Ok(time_zone),
            _ => Err(Error::WrongDatabase),
        }
    }
}
