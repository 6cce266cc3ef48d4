//! The open practice databases of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::OnceCell, time::timeout};

use super::TenantDb;
use crate::sql::{
    Admission, CircuitBreaker, DataProblems, Database, Error, Reporter, Result, Timeouts, schema::SCHEMA,
    timed_out,
};
use crate::{
    auth::PracticeGrant,
    domain::{PracticePass, zones},
};

/// Where a practice's database is. Comes only from the practice registry.
#[derive(Clone)]
pub struct Location {
    /// `postgres://…` or `sqlite://<path>`. Secret: it may hold a password.
    pub dsn: String,
    /// IANA name.
    pub time_zone: String,
}

/// The most practice databases to keep open; the least recently used is closed to open another.
const MAX_OPEN: usize = 32;
/// The same for background work, which uses each of its practices every few seconds.
const MAX_OPEN_IN_BACKGROUND: usize = 512;
/// The age by wall clock after which a pool is reopened, which also picks up a changed DSN.
///
/// Idle timeouts cannot do this, because Lambda freezes timers.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
const CONNECTIONS: u32 = 2;

struct OpenPractice {
    cell: Arc<OnceCell<TenantDb>>,
    breaker: Arc<CircuitBreaker>,
    opened: Timestamp,
    used: Timestamp,
}

/// The open practice databases.
///
/// Each is opened on first use, behind its own cell, so that a slow one delays no other.
pub struct Practices {
    entries: Mutex<HashMap<PracticePass, OpenPractice>>,
    max_open: usize,
    connections: u32,
    timeouts: Timeouts,
    problems: Arc<DataProblems>,
}

impl Default for Practices {
    /// For API calls: connections for one request at a time, and timeouts that suit a caller.
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
    /// For background work, and for many concurrent calls.
    pub fn for_background_work(connections: u32) -> Self {
        Self {
            entries: Mutex::default(),
            max_open: MAX_OPEN_IN_BACKGROUND,
            connections,
            timeouts: Timeouts::OF_BACKGROUND,
            problems: Arc::default(),
        }
    }

    /// Replaces the default timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Returns the database of `grant`'s practice; calls `locate` if it is not open.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and, soon after it, [`Error::CircuitOpen`]; [`Error::WrongDatabase`];
    /// [`Error::Registry`]; errors of `locate`.
    pub async fn open<E: From<Error>>(
        &self,
        grant: &PracticeGrant,
        now: Timestamp,
        locate: impl AsyncFnOnce() -> Result<Location, E>,
    ) -> Result<TenantDb, E> {
        let practicepass = grant.practicepass();
        let (cell, breaker, admission) = self.admit(practicepass, now)?;
        let is_probe = admission == Admission::Probe;
        let limit = if is_probe { self.timeouts.probe } else { self.timeouts.round_trip };
        let opened = cell
            .get_or_try_init(async || {
                let location = locate().await?;
                // A caller that waited here for another's failed attempt must not wait again.
                if !is_probe && breaker.is_open(Instant::now()) {
                    return Err(Error::CircuitOpen.into());
                }
                let opening = open(practicepass, &location, self, &breaker);
                let opened = timeout(limit, opening).await;
                let opened = opened.unwrap_or_else(|_| Err(Error::Unavailable(timed_out())));
                match &opened {
                    Ok(_) => breaker.close(),
                    Err(Error::Unavailable(_)) => breaker.record_failure(self.timeouts, Instant::now()),
                    Err(_) => (),
                }
                opened.map_err(E::from)
            })
            .await?;
        Ok(opened.clone())
    }

    /// Returns the unreadable rows of all practices.
    pub fn data_problems(&self) -> &DataProblems {
        &self.problems
    }

    /// Closes a practice's database, so that the next call locates it again.
    pub fn forget(&self, practicepass: &PracticePass) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(practicepass);
    }

    /// Returns the practice's cell, if the circuit breaker admits the call.
    fn admit(
        &self,
        practicepass: &PracticePass,
        now: Timestamp,
    ) -> Result<(Arc<OnceCell<TenantDb>>, Arc<CircuitBreaker>, Admission)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, it| {
            let is_outdated = it.cell.get().is_some_and(|db| db.is_outdated());
            now.duration_since(it.opened) < MAX_AGE && !is_outdated
        });
        if !entries.contains_key(practicepass) && entries.len() >= self.max_open {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(pass, _)| pass.clone());
            oldest.and_then(|pass| entries.remove(&pass));
        }
        let entry = entries.entry(practicepass.clone()).or_insert_with(|| OpenPractice {
            cell: Arc::default(),
            breaker: Arc::default(),
            opened: now,
            used: now,
        });
        entry.used = now;
        let admission = entry.breaker.admit(self.timeouts, Instant::now());
        match admission {
            Admission::Accept => (),
            Admission::Reject => return Err(Error::CircuitOpen),
            // The old connections may be dead without showing it.
            Admission::Probe => entry.cell = Arc::default(),
        }
        Ok((entry.cell.clone(), entry.breaker.clone(), admission))
    }
}

async fn open(
    practicepass: &PracticePass,
    location: &Location,
    of: &Practices,
    breaker: &Arc<CircuitBreaker>,
) -> Result<TenantDb> {
    let registered = zones::get(&location.time_zone)
        .ok_or_else(|| Error::Registry(format!("unknown time zone {:?}", location.time_zone)))?;
    let reporter = Arc::new(Reporter::of_practice(&of.problems, practicepass));
    let database = Database::connect(
        &location.dsn,
        Some(SCHEMA),
        of.connections,
        of.timeouts,
        breaker.clone(),
        reporter,
    )?;
    let db = TenantDb::new(database, practicepass.clone(), registered);
    let Some(time_zone) = db.check_identity().await? else { return Ok(db) };
    if time_zone == location.time_zone {
        return Ok(db);
    }
    // The database's triggers convert with its own zone, so the calendar must use it too.
    tracing::error!(
        practice = practicepass.as_str(),
        database = time_zone,
        registry = location.time_zone,
        "the practice's database and the registry name different time zones; run `set-time-zone` to repair \
            this"
    );
    let own = zones::get(&time_zone)
        .ok_or_else(|| Error::Registry(format!("the database names the unknown time zone {time_zone:?}")))?;
    Ok(db.with_time_zone(own))
}

impl TenantDb {
    /// Returns the time zone that the database converts with; `None` until it is migrated.
    ///
    /// Rejects a database whose `tenant_identity` names another practice, so that a swapped DSN
    /// opens nothing.
    async fn check_identity(&self) -> Result<Option<String>> {
        let mut conn = self.connection().await?;
        let identity = crate::sql::on!(&mut conn, |c| sqlx::query_as::<_, (String, Option<String>)>(
            "select ppass, time_zone from tenant_identity where singleton = 1",
        )
        .fetch_optional(c)
        .await);
        let identity = match identity.map_err(Error::from) {
            // An older schema, e.g. from a backup, has no such column until it is migrated.
            Err(Error::Statement(_)) => crate::sql::on!(&mut conn, |c| sqlx::query_as(
                "select ppass, cast(null as text) from tenant_identity where singleton = 1",
            )
            .fetch_optional(c)
            .await)?,
            identity => identity?,
        };
        match identity {
            Some((owner, time_zone)) if owner == self.practicepass().as_str() => Ok(time_zone),
            _ => Err(Error::WrongDatabase),
        }
    }
}
