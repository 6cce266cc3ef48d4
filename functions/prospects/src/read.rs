//! Handles `GET /v1/{PPass}/prospects/{id}`.

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{ApiError, ApiResult, Data, PathId, PracticePath, Problem, Tenant, scope},
    domain::ids::{IntegerId, PatientId},
    sql::audit,
    tenant::patients,
};

use crate::record::Prospect;

/// Get one prospect.
///
/// Send the `ETag` as `If-Match` when you update the prospect. Every read is recorded in the
/// practice's audit log.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/prospects/{id}",
    tag = "Prospects",
    params(PracticePath, ("id" = PatientId, Path, description = "PatientID")),
    responses(
        (status = 200, body = Data<Prospect>, headers(("ETag" = String, description = "The entity tag."))),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_prospect(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
) -> ApiResult<impl IntoResponse> {
    let mut conn = tenant.db.connection().await?;
    let patient = patients::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    let data = Prospect::of(&mut conn, patient).await?;
    audit::record(&mut conn, &tenant.audit("prospects.read", "patient", &[id.get()])).await?;
    Ok(([(ETAG, data.etag()?)], Data { data }))
}
