//! Handles `PUT /v1/{PPass}/prospects/{id}`.

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{
        ApiError, ApiResult, Body, IfMatch, Message, PathId, PracticePath, Problem, Tenant, Update, scope,
    },
    domain::ids::{IntegerId, PatientId},
    in_transaction,
    sql::audit,
    tenant::{bridge, log, patients},
};

use crate::{
    draft::{Draft, UpdateProspect},
    image::Image,
    record::Prospect,
};

/// Update an existing prospect.
///
/// An absent field keeps its value; null clears it. You can send a prospect back as you read it: a
/// value that equals the stored one is not a change, and a read-only field with another value is
/// rejected as `READ_ONLY_FIELD`. A request that changes nothing keeps `UpdatedAt`. With
/// `If-Match`, the prospect is changed only if it is still in the state that you read.
#[utoipa::path(
    put,
    path = "/v1/{PPass}/prospects/{id}",
    tag = "Prospects",
    params(
        PracticePath,
        ("id" = PatientId, Path, description = "PatientID"),
        ("If-Match" = Option<String>, Header, description = "Entity tags, separated by commas, or `*`."),
    ),
    request_body = UpdateProspect,
    responses(
        (status = 200, body = Message<Prospect>, headers(("ETag" = String,
            description = "The new entity tag."))),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 412, body = Problem, description = "`PRECONDITION_FAILED`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `REFUSED_BY_EMR`"),
    ),
)]
pub(crate) async fn update_prospect(
    tenant: Tenant<scope::Prospects>,
    PathId(id): PathId<PatientId>,
    if_match: IfMatch,
    Body(update): Body<Update<Draft<UpdateProspect>>>,
) -> ApiResult<impl IntoResponse> {
    let today = tenant.now.to_zoned(tenant.db.time_zone().clone()).date();
    let image_refused = match update.peek::<Image>("PtImg") {
        Some(image) => image.refused(&tenant.app.hooks).await,
        None => None,
    };
    let data = in_transaction!(tenant.db, ApiError, |conn| {
        bridge::refresh(&tenant.db, conn, bridge::EmrRow::Patient(id)).await?;
        let mut patient = patients::lock(conn, id).await?.ok_or_else(ApiError::not_found)?;
        let before = Prospect::of(conn, patient.clone()).await?;
        let draft = update.against(&before)?;
        let change = draft.check(conn, today, Some(&patient.details), image_refused.as_deref()).await?;
        if_match.check(&before.etag()?)?;
        let stored = patient.details.clone();
        change.apply(&mut patient.details);
        if patient.details != stored {
            patients::update(conn, id, (&stored, &patient.details), tenant.now).await?;
            log::append(conn, "patients", "update", id.get(), tenant.now, Some(&tenant.request_id)).await?;
        }
        audit::record(conn, &tenant.audit("prospects.update", "patient", &[id.get()])).await?;
        let after = patients::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
        Prospect::of(conn, after).await
    })?;
    Ok(([(ETAG, data.etag()?)], Message { message: "Prospect updated successfully", data }))
}
