//! Handles `GET /v1/{PPass}/ticket/{id}`.

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{
        ApiError, ApiResult, FieldProblem, FieldValue, PathId, PracticePath, Problem, Query, Source, Tenant,
        integer_between, scope,
    },
    domain::ids::{CommentId, IntegerId, MAX_SAFE_INTEGER, TicketId},
    params,
    sql::audit,
    tenant::tickets,
};
use utoipa::ToSchema;

use crate::reply::{MOST_COMMENTS, TicketWithComments};

/// A comment's id.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
pub(crate) struct CommentParam(CommentId);

impl FieldValue for CommentParam {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, MAX_SAFE_INTEGER).map(|id| Self(CommentId(id)))
    }
}

/// Maximum number of comments.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 100, default = 100)]
pub(crate) struct CommentLimit(i64);

impl FieldValue for CommentLimit {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, 100).map(Self)
    }
}

params! {
    pub(crate) struct ReadTicket {
        /// Maximum number of comments to return.
        "limit" => limit: Option<CommentLimit>,
        /// Returns comments older than this one. Send `pagination.before` of the previous response.
        "before" => before: Option<CommentParam>,
    }
}

/// Get specific ticket details including comments.
///
/// Returns the newest 100 comments, or fewer if they are very long, ordered from oldest to newest.
/// Use `before` to read older ones.
///
/// Send the `ETag` as `If-Match` when you update the ticket. Every read is recorded in the
/// practice's audit log.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/ticket/{id}",
    tag = "Tickets",
    params(PracticePath, ("id" = TicketId, Path, description = "TicketID"), ReadTicket),
    responses(
        (status = 200, body = TicketWithComments, headers(("ETag" = String, description = "The entity \
            tag."))),
        (status = 400, body = Problem, description = "`INVALID_PATH`, `INVALID_QUERY`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_ticket(
    tenant: Tenant<scope::Tickets>,
    PathId(id): PathId<TicketId>,
    Query(query): Query<ReadTicket>,
) -> ApiResult<impl IntoResponse> {
    let mut conn = tenant.db.connection().await?;
    let ticket = tickets::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    let (before, limit) = (query.before.map(|it| it.0), query.limit.map_or(MOST_COMMENTS, |it| it.0));
    let found = TicketWithComments::of(&mut conn, ticket, before, limit).await?;
    audit::record(&mut conn, &tenant.audit("tickets.read", "ticket", &[id.get()])).await?;
    Ok(([(ETAG, found.data.ticket.etag()?)], found))
}
