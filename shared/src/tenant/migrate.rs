//! Creating and upgrading a practice's schema. Requests never do; deployments and the local stack do.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use sqlx::AssertSqlSafe;

use super::{
    Collision, Database, Error, Pool, Result, ServerTimeouts, TenantDb, on, schema::Schema, search_texts,
    step::step, tickets, time_zone, unindexed_patients,
};
use crate::{
    auth::PracticeGrant,
    domain::{PracticePass, zones},
};

/// The newest migration; both engines have the same numbers, which a test holds.
pub fn newest() -> i64 {
    sqlx::migrate!("migrations/postgres").iter().map(|it| it.version).max().unwrap_or(0)
}

pub(super) fn schema() -> Schema {
    Schema { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") }
}

/// A practice's database with the newest schema.
#[derive(Debug)]
pub struct Migrated {
    pub db: TenantDb,
    /// Visits that new time-zone rules put on others.
    pub collisions: Vec<Collision>,
}

/// Brings the database of this connection string to the newest schema, makes it `grant`'s practice's own, makes the patients that are there
/// searchable, and lets visits follow the compiled rules of `time_zone` (an IANA name). Run again, it changes nothing.
///
/// # Errors
/// [`Error::WrongDatabase`] when it belongs to another practice already; [`Error::Migrate`]; [`Error::Migrating`];
/// [`Error::Unavailable`]; [`Error::Registry`] when there is no such time zone.
pub async fn migrate(grant: &PracticeGrant, dsn: &str, time_zone: &str, now: Timestamp) -> Result<Migrated> {
    let zone = zones::get(time_zone).unwrap_or(TimeZone::UTC);
    let db = TenantDb::new(Database::connect_for_creation(dsn).await?, grant.practicepass().clone(), zone);
    schema().bring_up(&db, dsn).await?;
    step("asking the database whose it is");
    crate::in_transaction!(db, Error, conn => {
        on!(&mut *conn, c => sqlx::query(
            "insert into tenant_identity (singleton, ppass) values (1, $1) on conflict (singleton) do nothing",
        ).bind(grant.practicepass().as_str()).execute(c).await.map(|_| ()))?;
        let owner: String = on!(conn, c => sqlx::query_scalar(
            "select ppass from tenant_identity where singleton = 1",
        ).fetch_one(c).await)?;
        PracticePass::try_from(owner)
            .is_ok_and(|owner| &owner == grant.practicepass())
            .then_some(())
            .ok_or(Error::WrongDatabase)
    })?;
    step("letting the visits follow the time zone's rules");
    let collisions = time_zone::apply(&db, time_zone, now).await?;
    step("making patients and tickets searchable");
    unindexed_patients::index(&db, Duration::MAX).await?;
    for source in tickets::SEARCHED {
        search_texts::index(&db, source, Duration::MAX).await?;
    }
    Ok(Migrated { db, collisions })
}

/// Has the server begin each session of this database's roles with `limits`: nothing then is set after connecting, which poolers
/// forget, and for which an RDS Proxy gives a connection to nobody else any more. The roles are the one that logs in, whose limits a
/// session begins with, and the one that it acts as, in which another may log in tomorrow. `false`: they have them already, or it is
/// no server.
///
/// # Errors
/// [`Error::Statement`] when a role may not change itself; [`Error::Unavailable`].
pub async fn give_limits(db: &Database, limits: ServerTimeouts) -> Result<bool> {
    let Pool::Postgres(_) = &db.pool else { return Ok(false) };
    let wanted = [
        ("idle_in_transaction_session_timeout", limits.idle),
        ("lock_timeout", limits.lock),
        ("statement_timeout", limits.statement),
    ];
    let (database, roles): (String, Vec<(String, String)>) = {
        let mut conn = db.connection().await?;
        let database: String = on!(&mut conn, c => sqlx::query_scalar("select current_database()::text")
            .fetch_one(c).await)?;
        let roles = on!(&mut conn, c => sqlx::query_as(
            "select role, coalesce((select array_to_string(setconfig, ',') from pg_db_role_setting
                 where setdatabase = (select oid from pg_database where datname = current_database())
                 and setrole = (select oid from pg_roles where rolname = role)), '')
             from (select session_user::text as role union select current_user::text) as roles",
        ).fetch_all(c).await)?;
        (database.replace('"', "\"\""), roles)
    };
    let mut statements = Vec::new();
    for (role, found) in roles {
        let role = role.replace('"', "\"\"");
        let missing = wanted.iter().map(|(name, limit)| (name, limit.as_millis()));
        let missing =
            missing.filter(|(name, limit)| !found.split(',').any(|it| it == format!("{name}={limit}")));
        statements.extend(missing.map(|(name, limit)| {
            // Only the role itself may change what it begins with, and not the other one that it acts as.
            format!("set local role \"{role}\"; alter role \"{role}\" in database \"{database}\" set {name} = {limit}")
        }));
    }
    let mut given = Ok(!statements.is_empty());
    for statement in statements {
        let changed = crate::in_transaction!(*db, Error, conn => {
            let statement = AssertSqlSafe(statement.clone());
            on!(conn, c => sqlx::raw_sql(statement).execute(c).await.map(|_| ()))?;
            Ok(())
        });
        // One of the two roles may change what the other may not.
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
        let practice = of(sqlx::migrate!("migrations/postgres"));
        assert_eq!(practice, of(sqlx::migrate!("migrations/sqlite")));
        assert_eq!(practice.last().map(|it| it.0), Some(super::newest()));
        assert_eq!(
            of(sqlx::migrate!("migrations/catalog/postgres")),
            of(sqlx::migrate!("migrations/catalog/sqlite"))
        );
    }
}
