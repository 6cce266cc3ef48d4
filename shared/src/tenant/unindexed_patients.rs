//! The `unindexed_patients` table: patients that the EMR's own programs wrote, whose search words are missing or old.
//! Triggers put a patient on it; [`patient_words::replace`] takes it off.

use super::{Database, Error, Result, on, patient_words, patients};

/// So many are looked after by whoever is about to search: more than an EMR writes between two searches, and no wait. The
/// poller does the rest after an import.
pub const AT_ONCE: i64 = 200;

/// Renews the words of up to `limit` patients, lowest id first; how many were renewed. Those that somebody else is just
/// changing stay for the next time.
///
/// # Errors
/// Those of the database.
pub async fn index(db: &Database, limit: i64) -> Result<usize> {
    // Most often there is nobody, and then nothing is locked.
    if !has_any(db).await? {
        return Ok(0);
    }
    crate::in_transaction!(db, Error, conn => {
        let patients = patients::lock_unindexed(conn, limit).await?;
        for patient in &patients {
            patient_words::replace(conn, patient.patient_id, &patient.details.words()).await?;
        }
        Ok(patients.len())
    })
}

async fn has_any(db: &Database) -> Result<bool> {
    let mut conn = db.connection().await?;
    Ok(on!(&mut conn, c => sqlx::query_scalar("select exists (select 1 from unindexed_patients)")
        .fetch_one(c).await)?)
}
