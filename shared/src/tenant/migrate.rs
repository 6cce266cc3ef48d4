//! Creates and upgrades practice schemas.
//!
//! Deployments and the local stack run this; requests never do.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use sqlx::AssertSqlSafe;

use super::{Collision, TenantDb, tickets, time_zone, unindexed_patients};
use crate::sql::{
    Database, Error, Pool, Result, ServerTimeouts, on,
    schema::{SCHEMA, Schema},
    search_texts,
    step::step,
};
use crate::{
    auth::PracticeGrant,
    domain::{PracticePass, zones},
};

/// Returns the newest migration. Both engines have the same numbers, which a test enforces.
pub fn newest() -> i64 {
    sqlx_macros::migrate!("migrations/postgres").iter().map(|it| it.version).max().unwrap_or(0)
}

pub(super) fn schema() -> Schema {
    Schema {
        sqlite: sqlx_macros::migrate!("migrations/sqlite"),
        postgres: sqlx_macros::migrate!("migrations/postgres"),
        of_practice: true,
    }
}

/// A practice's database after its migration.
#[derive(Debug)]
pub struct Migrated {
    pub db: TenantDb,
    /// Visits that overlap others since the time-zone rules changed.
    pub collisions: Vec<Collision>,
}

/// Migrates a practice's database to the newest schema.
///
/// It assigns the database to `grant`'s practice, indexes its patients and tickets for search, and
/// moves visits to the compiled rules of `time_zone` (an IANA name). Idempotent.
///
/// # Errors
/// [`Error::WrongDatabase`] if it already belongs to another practice; [`Error::Migrate`];
/// [`Error::Migrating`]; [`Error::Unavailable`]; [`Error::Registry`] if the time zone is unknown.
pub async fn migrate(grant: &PracticeGrant, dsn: &str, time_zone: &str, now: Timestamp) -> Result<Migrated> {
    let zone = zones::get(time_zone).unwrap_or(TimeZone::UTC);
    let database = Database::connect_for_creation(dsn, Some(SCHEMA)).await?;
    let db = TenantDb::new(database, grant.practicepass().clone(), zone);
    step("listing the existing tables");
    {
        let mut conn = db.connection().await?;
        if !conn.tables().await?.iter().any(|table| table == "tenant_identity") {
            conn.tables_of_others().await?;
        }
    }
    schema().bring_up(&db, dsn).await?;
    step("checking which practice owns the database");
    crate::in_transaction!(db, Error, |conn| {
        on!(&mut *conn, |c| {
            sqlx::query(
                "insert into tenant_identity (singleton, ppass) values (1, $1) on conflict (singleton) do \
                nothing",
            )
            .bind(grant.practicepass().as_str())
            .execute(c)
            .await
            .map(|_| ())
        })?;
        let owner: String =
            on!(conn, |c| sqlx::query_scalar("select ppass from tenant_identity where singleton = 1",)
                .fetch_one(c)
                .await)?;
        PracticePass::try_from(owner)
            .is_ok_and(|owner| &owner == grant.practicepass())
            .then_some(())
            .ok_or(Error::WrongDatabase)
    })?;
    step("applying the time-zone rules to visits");
    let collisions = time_zone::apply(&db, time_zone, now).await?;
    step("indexing patients and tickets for search");
    unindexed_patients::index(&db, Duration::MAX).await?;
    for source in tickets::SEARCHED {
        search_texts::index(&db, source, Duration::MAX).await?;
    }
    Ok(Migrated { db, collisions })
}

/// Makes `limits` and the practice's schema the defaults of new sessions in this database.
///
/// Then nothing has to be set after connecting: poolers forget such settings, and an RDS Proxy pins
/// the connection to its client. The defaults go to the role that logs in, whose defaults a session
/// starts with, and to the role that it acts as, since another user may log in as a member of that
/// one. A role that owns other programs' tables is left unchanged, because those programs use it
/// too. Returns `false` if the defaults exist already, or on `SQLite`.
///
/// # Errors
/// [`Error::Statement`] if a role may not alter itself; [`Error::Unavailable`].
pub async fn give_defaults(db: &TenantDb, limits: ServerTimeouts) -> Result<bool> {
    let Pool::Postgres(_) = &db.pool else { return Ok(false) };
    let wanted = [
        ("idle_in_transaction_session_timeout", limits.idle.as_millis().to_string()),
        ("lock_timeout", limits.lock.as_millis().to_string()),
        ("statement_timeout", limits.statement.as_millis().to_string()),
        ("search_path", SCHEMA.to_owned()),
    ];
    let (database, roles): (String, Vec<(String, String)>) = {
        let mut conn = db.connection().await?;
        let database: String =
            on!(&mut conn, |c| sqlx::query_scalar("select current_database()::text").fetch_one(c).await)?;
        let roles = on!(&mut conn, |c| {
            sqlx::query_as(
            "select rolname::text, coalesce((select array_to_string(setconfig, ',') from pg_db_role_setting
                 where setdatabase = (select oid from pg_database where datname = current_database())
                 and setrole = r.oid), '')
             from pg_roles r
             where rolname in (session_user, current_user) and not exists (
                 select 1 from pg_class c join pg_namespace n on n.oid = relnamespace
                 where relowner = r.oid and relkind in ('r', 'p', 'f')
                   and nspname not in ('partner_api', 'information_schema') and nspname !~ '^pg_'
                   and not exists (select 1 from pg_depend where objid = c.oid and deptype = 'e'))",
        ).fetch_all(c).await
        })?;
        (database.replace('"', "\"\""), roles)
    };
    let mut statements = Vec::new();
    for (role, found) in roles {
        let role = role.replace('"', "\"\"");
        let is_missing =
            |(name, value): &&(&str, String)| !found.split(',').any(|it| it == format!("{name}={value}"));
        statements.extend(wanted.iter().filter(is_missing).map(|(name, value)| {
            // Only the role itself may change its defaults, so switch to it first.
            format!(
                "set local role \"{role}\"; alter role \"{role}\" in database \"{database}\" set {name} \
                = {value}"
            )
        }));
    }
    let mut given = Ok(!statements.is_empty());
    for statement in statements {
        let changed = crate::in_transaction!(*db, Error, |conn| {
            let statement = AssertSqlSafe(statement.clone());
            on!(conn, |c| sqlx::raw_sql(statement).execute(c).await.map(|_| ()))?;
            Ok(())
        });
        // One of the two roles may be allowed to change its defaults when the other is not.
        given = changed.and(given);
    }
    given
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_engines_have_the_same_migrations() {
        let of = |migrator: sqlx::migrate::Migrator| -> Vec<(i64, String)> {
            migrator.iter().map(|it| (it.version, it.description.to_string())).collect()
        };
        let practice = of(sqlx_macros::migrate!("migrations/postgres"));
        assert_eq!(practice, of(sqlx_macros::migrate!("migrations/sqlite")));
        assert_eq!(practice.last().map(|it| it.0), Some(super::newest()));
        assert_eq!(
            of(sqlx_macros::migrate!("migrations/catalog/postgres")),
            of(sqlx_macros::migrate!("migrations/catalog/sqlite"))
        );
    }
}
