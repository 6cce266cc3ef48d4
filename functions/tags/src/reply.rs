//! The JSON representation of tags.

use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, List, MOST_LISTED, Offset, Tenant, scope},
    domain::ids::{IntegerId, PatientId, TagId},
    sql::{Conn, audit},
    tenant::{
        log, patients,
        tags::{self, CountedTag},
    },
};
use utoipa::ToSchema;

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagBody {
    id: TagId,
    name: String,
    /// The color in which the EMR shows the tag.
    #[schema(example = "#aa3377")]
    colour: Option<String>,
    /// Number of prospects and patients that have the tag.
    count: i64,
}

/// A prospect's tags after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagsOfProspect {
    #[serde(rename = "PatientID")]
    id: PatientId,
    /// At most 1,000 tags, ordered by name.
    #[serde(rename = "Tags")]
    tags: Vec<TagBody>,
}

impl From<CountedTag> for TagBody {
    fn from(it: CountedTag) -> Self {
        Self { id: it.tag.tag_id, name: it.tag.name, colour: it.tag.colour, count: it.patients }
    }
}

/// Returns the prospect's tags and records the read in the audit log.
///
/// # Errors
/// 404 if the prospect does not exist.
pub(crate) async fn read_tags(
    tenant: &Tenant<scope::Prospects>,
    conn: &mut Conn,
    id: PatientId,
    offset: Offset,
) -> ApiResult<List<TagBody>> {
    patients::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
    let tags = tags::of_patient(conn, id, MOST_LISTED + 1, offset.0).await?;
    audit::record(conn, &tenant.audit("tags.read", "patient", &[id.get()])).await?;
    Ok(List::after(offset, tags.into_iter().map(TagBody::from).collect()))
}

/// Records the outcome of a tag request and returns the prospect's tags.
///
/// The audit log records every request. If `changed` is true, `UpdatedAt` is set and the practice's
/// event log gets a row.
pub(crate) async fn finish(
    tenant: &Tenant<scope::Prospects>,
    conn: &mut Conn,
    id: PatientId,
    action: &'static str,
    changed: bool,
) -> ApiResult<TagsOfProspect> {
    if changed {
        patients::touch(conn, id, tenant.now).await?;
        log::append(conn, "patients", "update", id.get(), tenant.now, Some(&tenant.request_id)).await?;
    }
    audit::record(conn, &tenant.audit(action, "patient", &[id.get()])).await?;
    let tags = tags::of_patient(conn, id, MOST_LISTED, 0).await?;
    Ok(TagsOfProspect { id, tags: tags.into_iter().map(TagBody::from).collect() })
}
