//! The `providers` table.

use super::{Conn, Result, bounded::short, on};
use crate::domain::ids::ProviderId;

/// An active provider.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Provider {
    pub provider_id: ProviderId,
    pub name: String,
    pub title: Option<String>,
    pub specialty: Option<String>,
}

/// A provider's texts, of bounded size.
macro_rules! columns {
    () => {
        concat!(short!("name", 255), ", ", short!("title", 255), ", ", short!("specialty", 255))
    };
}

/// Up to `limit` active providers after the first `offset`, lowest id first.
pub async fn list(conn: &mut Conn, limit: i64, offset: i64) -> Result<Vec<Provider>> {
    Ok(on!(conn, c => sqlx::query_as(concat!(
        "select provider_id, ", columns!(), " from providers where active order by provider_id limit $1 offset $2",
    )).bind(limit).bind(offset).fetch_all(c).await)?)
}

/// The provider, if active.
pub async fn find(conn: &mut Conn, id: ProviderId) -> Result<Option<Provider>> {
    Ok(on!(conn, c => sqlx::query_as(concat!(
        "select provider_id, ", columns!(), " from providers where active and provider_id = $1",
    )).bind(id).fetch_optional(c).await)?)
}
