//! Upgrades a database to its newest schema.
//!
//! An upgrade is atomic and leaves nothing behind if the program is killed.

use std::time::Duration;

use sqlx::{
    Connection as _, Executor as _, PgConnection, Postgres, SqliteConnection, Transaction, migrate::Migrator,
};
use tokio::time::timeout;

use super::{
    Database, Error, Pool, Result,
    connection_string::ConnectionString,
    reach::{close, reach},
    step::step,
    timed_out,
};

/// Timeout for statements without real work, including the wait for the lock of [`ONE_AT_A_TIME`].
const PROMPT: Duration = Duration::from_secs(15);

/// Has the server end the transaction of a client that is frozen or gone.
///
/// It does so after 2 seconds, or after a minute if the client's next statement is due. Servers
/// before version 14 notice only when a statement ends.
const BEGIN: &str = "
    set local statement_timeout = 0;
    set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '1min';
    select set_config(name, '2s', true) from pg_settings where name = 'client_connection_check_interval';
    deallocate all;
";
/// Serializes the migrations of one database. The number is arbitrary.
const ONE_AT_A_TIME: &str = "select pg_advisory_xact_lock(4137905226013)";
/// Limits the wait for table locks: a waiting lock request blocks all later ones.
const THEN: &str = "set local lock_timeout = '30s'";

/// The `PostgreSQL` schema that holds all of our tables in a practice's database.
///
/// Everything outside it belongs to the EMR and stays invisible.
pub(crate) const SCHEMA: &str = "partner_api";

/// Creates the schema if it is missing, and enters it.
///
/// A role without that privilege can use a schema that another role created. `bring_up` creates
/// what is missing in it, and nothing elsewhere.
const ENTER_SCHEMA: &str = "
    do $$ begin
        if to_regnamespace('partner_api') is null then create schema partner_api; end if;
    end $$;
    set local search_path = partner_api;
";

/// The migrations of one kind of database, for each engine.
pub(crate) struct Schema {
    pub(crate) sqlite: Migrator,
    pub(crate) postgres: Migrator,
    /// Whether they are a practice's migrations, which apply to [`SCHEMA`].
    pub(crate) of_practice: bool,
}

impl Schema {
    /// Runs the missing migrations.
    ///
    /// Newer ones may exist already: after a rollback this program works with them.
    ///
    /// # Errors
    /// [`Error::Migrating`] while another migration runs; [`Error::Unavailable`] within seconds;
    /// [`Error::Migrate`].
    pub(crate) async fn bring_up(self, db: &Database, secret: &str) -> Result<()> {
        match &db.pool {
            Pool::Sqlite(pool) => Ok(lenient(self.sqlite).run(pool).await?),
            Pool::Postgres(_) => {
                let mut connection = reach(&ConnectionString::of(secret).options()?).await?;
                let mut transaction = begin(&mut connection).await?;
                step("running the migrations");
                self.enter(&mut transaction).await?;
                lenient(self.postgres).run_direct(None, &mut *transaction, false).await?;
                // A pooler hands this connection to clients that do not know its prepared
                // statements.
                transaction.execute("deallocate all").await?;
                step("committing the migrations");
                transaction.commit().await?;
                close(connection).await;
                Ok(())
            }
        }
    }

    /// Runs the missing migrations and rolls them back.
    ///
    /// # Errors
    /// The same as for [`Self::bring_up`].
    pub(crate) async fn rehearse(self, secret: &str) -> Result<()> {
        let string = ConnectionString::of(secret);
        if string.is_sqlite() {
            let mut connection = SqliteConnection::connect(string.dsn()).await?;
            let mut transaction = connection.begin_with("begin immediate").await?;
            step("creating the schema as a trial");
            lenient(self.sqlite).run_direct(None, &mut *transaction, false).await?;
            transaction.rollback().await?;
            return Ok(connection.close().await?);
        }
        let mut connection = reach(&string.options()?).await?;
        let mut transaction = begin(&mut connection).await?;
        step("creating the schema as a trial");
        self.enter(&mut transaction).await?;
        lenient(self.postgres).run_direct(None, &mut *transaction, false).await?;
        transaction.execute("deallocate all").await?;
        step("rolling the schema back");
        transaction.rollback().await?;
        close(connection).await;
        Ok(())
    }

    /// Creates the practice's schema if there is none, and makes it the transaction's search path.
    async fn enter(&self, transaction: &mut Transaction<'_, Postgres>) -> Result<()> {
        if self.of_practice {
            transaction.execute(ENTER_SCHEMA).await?;
        }
        Ok(())
    }
}

async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>> {
    let begun = async move {
        step("starting a transaction");
        let mut transaction = connection.begin().await?;
        transaction.execute(BEGIN).await?;
        step("waiting for another migration of this database");
        transaction.execute(ONE_AT_A_TIME).await.map_err(|error| match error.as_database_error() {
            Some(refused) if refused.code().as_deref() == Some("55P03") => Error::Migrating,
            _ => error.into(),
        })?;
        step("preparing the migrations");
        transaction.execute(THEN).await?;
        Ok(transaction)
    };
    timeout(PROMPT, begun).await.unwrap_or_else(|_| Err(Error::Unavailable(timed_out())))
}

/// Disables the migrator's own lock.
///
/// [`ONE_AT_A_TIME`] ends with the transaction, whatever happens to the program or a pooler.
fn lenient(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true).set_locking(false);
    migrator
}
