//! Tags as partners read them.

use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, List, MOST_LISTED, Offset, Tenant, scope},
    domain::ids::{IntegerId, PatientId, TagId},
    tenant::{
        Conn, audit, log, patients,
        tags::{self, CountedTag},
    },
};
use utoipa::ToSchema;

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagBody {
    id: TagId,
    name: String,
    /// As the EMR shows it.
    #[schema(example = "#aa3377")]
    colour: Option<String>,
    /// How many prospects and patients have it.
    count: i64,
}

/// A prospect's tags after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagsOfProspect {
    #[serde(rename = "PatientID")]
    id: PatientId,
    /// At most 1,000.
    #[serde(rename = "Tags")]
    tags: Vec<TagBody>,
}

impl From<CountedTag> for TagBody {
    fn from(it: CountedTag) -> Self {
        Self { id: it.tag.tag_id, name: it.tag.name, colour: it.tag.colour, count: it.patients }
    }
}

/// The prospect's tags, once the reading is noted in the audit log.
///
/// # Errors
/// 404 when there is no such prospect.
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

/// What a change answers; `changed` ones are noted in the prospect and in the log, all of them in the audit log.
pub(crate) async fn conclude(
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
