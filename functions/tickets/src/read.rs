//! `GET /v1/{PPass}/ticket/{id}`

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{ApiError, ApiResult, Data, PathId, PracticePath, Problem, Tenant, scope},
    domain::ids::{IntegerId, TicketId},
    tenant::{audit, tickets},
};

use crate::reply::TicketDetail;

/// Get specific ticket details including comments.
///
/// The `ETag` can be sent as `If-Match` with an update. The reading is noted in the practice's audit log.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/ticket/{id}",
    tag = "Tickets",
    params(PracticePath, ("id" = TicketId, Path, description = "TicketID")),
    responses(
        (status = 200, body = Data<TicketDetail>, headers(("ETag" = String, description = "The state that was read."))),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_ticket(
    tenant: Tenant<scope::Tickets>,
    PathId(id): PathId<TicketId>,
) -> ApiResult<impl IntoResponse> {
    let mut conn = tenant.db.connection().await?;
    let ticket = tickets::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    let data = TicketDetail::of(&mut conn, ticket).await?;
    audit::record(&mut conn, &tenant.audit("tickets.read", "ticket", &[id.get()])).await?;
    Ok(([(ETAG, data.ticket.etag()?)], Data { data }))
}
