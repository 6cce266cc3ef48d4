//! Handles `POST /v1/{PPass}/visits/{id}/cancel`.

use shared::{
    api::{
        ApiError, ApiResult, Code, Message, NoBody, PathId, PracticePath, Problem, Tenant, scope::Scheduling,
    },
    domain::ids::VisitId,
    in_transaction,
    sql::audit,
    tenant::{bridge, log, visits},
};

use crate::reply::VisitBody;

/// Cancel a visit.
///
/// The visit's time is free again at once. Only a visit that is `Scheduled` or `Confirmed` can be
/// canceled.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/visits/{id}/cancel",
    tag = "Visit Scheduling",
    params(PracticePath, ("id" = VisitId, Path, description = "The visit's id")),
    responses(
        (status = 200, body = Message<VisitBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem,
            description = "`VISIT_NOT_OPEN`: already canceled, arrived, completed or missed"),
    ),
)]
pub(crate) async fn cancel_visit(
    tenant: Tenant<Scheduling>,
    PathId(id): PathId<VisitId>,
    _: NoBody,
) -> ApiResult<Message<VisitBody>> {
    let visit = in_transaction!(tenant.db, ApiError, |conn| {
        bridge::refresh(&tenant.db, conn, bridge::EmrRow::Visit(id)).await?;
        let cancelled = visits::cancel(conn, id, tenant.now).await?;
        let visit = visits::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
        if !cancelled {
            return Err(not_open(&visit));
        }
        log::append(conn, "visits", "update", id.0, tenant.now, Some(&tenant.request_id)).await?;
        audit::record(conn, &tenant.audit("visits.cancel", "visit", &[id.0])).await?;
        Ok(visit)
    })?;
    Ok(Message { message: "Visit cancelled successfully", data: visit.into() })
}

/// Returns the 409 for a visit that can no longer be changed.
pub(crate) fn not_open(visit: &visits::Visit) -> ApiError {
    ApiError::new(
        Code::VisitNotOpen,
        format!("The visit is {}. Only Scheduled and Confirmed visits can be changed.", visit.status),
    )
}
