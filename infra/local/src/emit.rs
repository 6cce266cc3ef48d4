//! The `emit` command: writes log rows to a practice's database as the EMR would, whether or not
//! the stack is running.

use shared::sql;
use std::path::Path;

use indicatif::ProgressBar;
use jiff::Timestamp;
use shared::auth::PracticeGrant;
use shared::domain::{EventScope, PracticePass};
use shared::in_transaction;
use shared::tenant::practices::Location;
use shared::{
    sql::Conn,
    tenant::{Practices, TenantDb, log},
};

use crate::error::{Error, Result};
use crate::practices::{dsn_secret, failed};
use crate::secrets::Secrets;

/// Rows per transaction: few enough that the API's own writes wait only milliseconds.
const CHUNK: usize = 200;

/// Writes `count` rows of this kind; shows a progress bar on a terminal.
pub async fn emit(data_dir: &Path, practicepass: &str, scope: EventScope, count: usize) -> Result<()> {
    let db = open(data_dir, practicepass).await?;
    let failed = failed(practicepass);
    let records = records(&db, scope).await.map_err(&failed)?;
    if records.is_empty() {
        return Err(Error::Refused(format!("{practicepass} has no records for {scope} events")));
    }
    let progress = ProgressBar::new(count as u64);
    for first in (0..count).step_by(CHUNK) {
        let end = count.min(first + CHUNK);
        write(&db, scope, &records, first..end).await.map_err(&failed)?;
        progress.set_position(end as u64);
    }
    progress.finish();
    Ok(())
}

/// Opens the database of a practice in a data folder.
pub(crate) async fn open(data_dir: &Path, practicepass: &str) -> Result<TenantDb> {
    let unknown = || Error::Refused(format!("{} has no practice {practicepass}", data_dir.display()));
    let file = data_dir.join("secrets.json");
    if !file.is_file() {
        return Err(Error::Refused(format!("no stack has run in {} yet", data_dir.display())));
    }
    let secrets = Secrets::open(&file, &[])?;
    let dsn = secrets.get(&dsn_secret(practicepass)).ok_or_else(unknown)?;
    let grant = PracticeGrant::for_operations(PracticePass::try_from(practicepass).map_err(|_| unknown())?);
    // The log contains only instants, so the time zone does not matter.
    let location = Location { dsn, time_zone: "UTC".to_owned() };
    let opened =
        Practices::for_background_work(1).open(&grant, Timestamp::now(), async || Ok(location)).await;
    opened.map_err(|error| match error {
        sql::Error::WrongDatabase => unknown(),
        other => failed(practicepass)(other),
    })
}

/// Returns the ids of records that events of this kind can be about. Claims, payments and documents
/// belong to a visit and use its id.
async fn records(db: &TenantDb, scope: EventScope) -> sql::Result<Vec<i64>> {
    let query = match scope {
        EventScope::Patients => "select patient_id from patients order by patient_id desc limit 1000",
        EventScope::Encounters | EventScope::Claims | EventScope::Payments | EventScope::Documents => {
            "select visit_id from visits order by visit_id desc limit 1000"
        }
    };
    Ok(match &mut db.connection().await? {
        Conn::Sqlite(connection) => sqlx::query_scalar(query).fetch_all(&mut **connection).await?,
        Conn::Postgres(connection) => sqlx::query_scalar(query).fetch_all(&mut **connection).await?,
    })
}

async fn write(
    db: &TenantDb,
    scope: EventScope,
    records: &[i64],
    numbers: std::ops::Range<usize>,
) -> sql::Result<()> {
    in_transaction!(db, sql::Error, |conn| {
        for number in numbers.clone() {
            let action = if number % 3 == 0 { "insert" } else { "update" };
            let record = records[number % records.len()];
            log::append(conn, table(scope), action, record, Timestamp::now(), None).await?;
        }
        Ok(())
    })
}

/// Returns the EMR's table for records of this kind.
fn table(scope: EventScope) -> &'static str {
    match scope {
        EventScope::Patients => "patients",
        EventScope::Encounters => "visits",
        EventScope::Claims => "claims",
        EventScope::Payments => "payments",
        EventScope::Documents => "documents",
    }
}
