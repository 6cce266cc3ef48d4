//! Brings a database to its newest schema: all of it or nothing, and nothing is left behind by a program that was ended meanwhile.

use std::{io, time::Duration};

use sqlx::{
    Connection as _, Executor as _, PgConnection, Postgres, SqliteConnection, Transaction, migrate::Migrator,
    postgres::PgConnectOptions,
};
use tokio::time::timeout;

use super::{Database, Error, Pool, Result, connection_string::ConnectionString, silence, step::step};

/// For a connection. A server that refuses it is known at once.
const CONNECT: Duration = Duration::from_secs(10);
/// For what a server answers without work, even if it has to wait for the lock of [`ONE_AT_A_TIME`] first.
const PROMPT: Duration = Duration::from_secs(15);

/// What a program began and can't end any more, because it is frozen or gone, is ended by the server: after 2 seconds, or after a
/// minute when it is the program's turn. Servers before 14 find out when a statement ends.
const BEGIN: &str = "
    set local statement_timeout = 0;
    set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '1min';
    select set_config(name, '2s', true) from pg_settings where name = 'client_connection_check_interval';
    deallocate all;
";
/// Two migrations of one database follow each other. The number means nothing.
const ONE_AT_A_TIME: &str = "select pg_advisory_xact_lock(4137905226013)";
/// For locks of tables: whoever waits for one holds up all that come later.
const THEN: &str = "set local lock_timeout = '30s'";

/// The schema of `PostgreSQL` that holds all that a practice's database has of ours. What is beside it is the EMR's and never seen.
pub(crate) const SCHEMA: &str = "partner_api";

/// A role that may make no schema may find it made by whoever may. `bring_up` makes what is missing in it, and nothing elsewhere.
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
    /// Whether they are a practice's, which are in [`SCHEMA`].
    pub(crate) of_practice: bool,
}

impl Schema {
    /// Does the migrations that are missing. Those of a newer program may be there: after a roll-back this one works with them.
    ///
    /// # Errors
    /// [`Error::Migrating`] while another does so; [`Error::Unavailable`] within seconds; [`Error::Migrate`].
    pub(crate) async fn bring_up(self, db: &Database, secret: &str) -> Result<()> {
        match &db.pool {
            Pool::Sqlite(pool) => Ok(lenient(self.sqlite).run(pool).await?),
            Pool::Postgres(_) => {
                let mut connection = reach(&ConnectionString::of(secret).options()?).await?;
                let mut transaction = begin(&mut connection).await?;
                step("doing the migrations");
                self.enter(&mut transaction).await?;
                lenient(self.postgres).run_direct(None, &mut *transaction, false).await?;
                // A pooler hands the connection to somebody who knows none of what it was told.
                transaction.execute("deallocate all").await?;
                step("committing the migrations");
                transaction.commit().await?;
                close(connection).await;
                Ok(())
            }
        }
    }

    /// Does the migrations that are missing, and takes them back.
    ///
    /// # Errors
    /// As [`Self::bring_up`].
    pub(crate) async fn rehearse(self, secret: &str) -> Result<()> {
        let string = ConnectionString::of(secret);
        if string.is_sqlite() {
            let mut connection = SqliteConnection::connect(string.dsn()).await?;
            let mut transaction = connection.begin_with("begin immediate").await?;
            step("making the schema, to be taken back");
            lenient(self.sqlite).run_direct(None, &mut *transaction, false).await?;
            transaction.rollback().await?;
            return Ok(connection.close().await?);
        }
        let mut connection = reach(&string.options()?).await?;
        let mut transaction = begin(&mut connection).await?;
        step("making the schema, to be taken back");
        self.enter(&mut transaction).await?;
        lenient(self.postgres).run_direct(None, &mut *transaction, false).await?;
        transaction.execute("deallocate all").await?;
        step("taking the schema back");
        transaction.rollback().await?;
        close(connection).await;
        Ok(())
    }

    /// Makes the practice's schema if there is none, and has the transaction see nothing else.
    async fn enter(&self, transaction: &mut Transaction<'_, Postgres>) -> Result<()> {
        if self.of_practice {
            transaction.execute(ENTER_SCHEMA).await?;
        }
        Ok(())
    }
}

/// A connection to a server, or why there is none.
///
/// # Errors
/// [`Error::Unavailable`], at once when the server refuses it, else after ten seconds.
pub(super) async fn reach(options: &PgConnectOptions) -> Result<PgConnection> {
    step(format!("connecting to {}:{}", options.get_host(), options.get_port()));
    let connected = timeout(CONNECT, PgConnection::connect_with(options)).await;
    connected.unwrap_or_else(|_| Err(silence())).map_err(|error| {
        let (host, port) = (options.get_host(), options.get_port());
        Error::from(match error {
            sqlx::Error::Io(error) => {
                sqlx::Error::Io(io::Error::new(error.kind(), format!("{host}:{port}: {error}")))
            }
            error => error,
        })
    })
}

pub(super) async fn close(connection: PgConnection) {
    // Nobody cares whether the server heard the farewell.
    let _ = timeout(CONNECT, connection.close()).await;
}

async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>> {
    let begun = async move {
        step("beginning a transaction");
        let mut transaction = connection.begin().await?;
        transaction.execute(BEGIN).await?;
        step("waiting for another migration of this database");
        transaction.execute(ONE_AT_A_TIME).await.map_err(|error| match error.as_database_error() {
            Some(refused) if refused.code().as_deref() == Some("55P03") => Error::Migrating,
            _ => error.into(),
        })?;
        step("beginning the migrations");
        transaction.execute(THEN).await?;
        Ok(transaction)
    };
    timeout(PROMPT, begun).await.unwrap_or_else(|_| Err(Error::Unavailable(silence())))
}

/// Takes its lock no more: ours ends with the transaction, whatever becomes of the program and whatever stands between it and the
/// server.
fn lenient(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true).set_locking(false);
    migrator
}
