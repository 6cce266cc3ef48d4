//! The `providers` table.

use super::{Conn, Result, on};
use crate::domain::ids::ProviderId;

/// An active provider.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Provider {
    pub provider_id: ProviderId,
    pub name: String,
    pub title: Option<String>,
    pub specialty: Option<String>,
}

/// Every active provider, lowest id first.
pub async fn list(conn: &mut Conn) -> Result<Vec<Provider>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select provider_id, name, title, specialty from providers where active order by provider_id",
    ).fetch_all(c).await)?)
}

/// The provider, if active.
pub async fn find(conn: &mut Conn, id: ProviderId) -> Result<Option<Provider>> {
    Ok(on!(conn, c => sqlx::query_as(
        "select provider_id, name, title, specialty from providers where active and provider_id = $1",
    ).bind(id).fetch_optional(c).await)?)
}
