//! The `providers` table.

use sqlx::AssertSqlSafe;

use crate::domain::ids::ProviderId;
use crate::sql::{
    Conn, Result,
    bounded::short,
    foreign::{Columns, ForeignRow, FromColumns, Read, accept_all, is_true},
    on,
};

/// An active provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub provider_id: ProviderId,
    pub name: String,
    pub title: Option<String>,
    pub specialty: Option<String>,
}

impl FromColumns for Provider {
    const TABLE: &'static str = "providers";
    const KEY: &'static str = "provider_id";

    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>> {
        let active = columns.or("active", false)?;
        let id = columns.required("provider_id")?;
        let (name, title, specialty) =
            (columns.text("name")?, columns.optional("title")?, columns.optional("specialty")?);
        Ok(id.filter(|_| active).map(|provider_id| Self { provider_id, name, title, specialty }))
    }
}

/// A provider's columns, at a bounded size.
macro_rules! columns {
    () => {
        concat!(
            "provider_id, active, ",
            short!("name", 255),
            ", ",
            short!("title", 255),
            ", ",
            short!("specialty", 255)
        )
    };
}

/// Returns up to `limit` active providers after the first `offset`, lowest id first.
pub async fn list(conn: &mut Conn, limit: i64, offset: i64) -> Result<Vec<Provider>> {
    let statement = format!(
        "select {} from providers where {} order by provider_id limit $1 offset $2",
        columns!(),
        is_true(conn, "active"),
    );
    let rows: Vec<Read<Provider>> = on!(&mut *conn, |c| {
        sqlx::query_as(AssertSqlSafe(statement)).bind(limit).bind(offset).fetch_all(c).await
    })?;
    Ok(accept_all(conn, rows))
}

/// Returns the provider, if active.
pub async fn find(conn: &mut Conn, id: ProviderId) -> Result<Option<Provider>> {
    let row: Option<Read<Provider>> = on!(&mut *conn, |c| sqlx::query_as(concat!(
        "select ",
        columns!(),
        " from providers where provider_id = $1",
    ))
    .bind(id)
    .fetch_optional(c)
    .await)?;
    Ok(row.and_then(|row| row.accept(conn)))
}
