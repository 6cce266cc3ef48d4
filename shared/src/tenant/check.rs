//! What is at the address of a practice's connection string.

use super::migrate::{newest, schema};
use crate::{
    auth::PracticeGrant,
    sql::{
        Database, Error, Result,
        check::{NO_FILE, of_others},
        on,
        schema::SCHEMA,
        step::step,
    },
};

/// Checks a connection string for this practice's current or new database; returns the findings.
///
/// # Errors
/// [`Error::WrongDatabase`] if it belongs to another practice; [`Error::Migrate`] if the schema
/// cannot be created there; [`Error::Unavailable`]; [`Error::ConnectionString`] if the string is
/// not valid.
pub async fn practice(grant: &PracticeGrant, secret: &str) -> Result<Vec<String>> {
    let Some(db) = Database::at(secret, Some(SCHEMA)).await? else { return Ok(vec![NO_FILE.to_owned()]) };
    let checked = async {
        let mut conn = db.lookout().await?;
        let mut found = vec![conn.server_in_words().await?];
        let tables = conn.tables().await?;
        if !tables.iter().any(|table| table == "tenant_identity") {
            let others = conn.tables_of_others().await?;
            schema().rehearse(secret).await?;
            found.push("a practice can be created in it".to_owned());
            found.extend(of_others(&others));
            return Ok(found);
        }
        step("checking which practice owns the database");
        let owner: Option<String> =
            on!(&mut conn, |c| sqlx::query_scalar("select ppass from tenant_identity where singleton = 1",)
                .fetch_optional(c)
                .await)?;
        if owner.is_some_and(|owner| owner != grant.practicepass().as_str()) {
            return Err(Error::WrongDatabase);
        }
        step("checking whether the database has records");
        let has_records = conn.has_rows(&["patients", "log"]).await?;
        found.push(format!(
            "it is this practice's database, with{} records",
            if has_records { "" } else { "out" }
        ));
        found.push(conn.version_in_words(newest()).await?);
        Ok(found)
    };
    let checked = checked.await;
    db.close().await;
    checked
}
