//! The open database of one practice.

use jiff::tz::TimeZone;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, pool::PoolConnection};

use super::{Error, Result};
use crate::domain::PracticePass;

#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One connection, of whichever engine the practice has.
pub enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// The database of the one practice that the caller may enter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantDb {
    pub(super) pool: Pool,
    practicepass: PracticePass,
    time_zone: TimeZone,
}

impl TenantDb {
    pub(super) fn new(pool: Pool, practicepass: PracticePass, time_zone: TimeZone) -> Self {
        Self { pool, practicepass, time_zone }
    }

    pub fn practicepass(&self) -> &PracticePass {
        &self.practicepass
    }

    /// The practice's IANA time zone; dates and times of its visits are local to it.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// A connection for statements that stand alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none can be had within the pool's time.
    pub async fn connection(&self) -> Result<Conn> {
        match &self.pool {
            Pool::Sqlite(pool) => pool.acquire().await.map(Conn::Sqlite),
            Pool::Postgres(pool) => pool.acquire().await.map(Conn::Postgres),
        }
        .map_err(Error::from)
    }
}
