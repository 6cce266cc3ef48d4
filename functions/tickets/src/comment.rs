//! Handles `POST /v1/{PPass}/tickets/{id}/comment`.

use axum::{
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
};
use shared::{
    api::{ApiError, ApiResult, JsonAnswer, Message, Once, PathId, PracticePath, Problem, Tenant, scope},
    body, create_once,
    domain::ids::{IntegerId, TicketId},
    sql::audit,
    tenant::{log, tickets},
    text_field,
};

use crate::reply::CommentBody;

text_field! { lines CommentText, 1, 10_000 }
text_field! { CommentAuthor, 1, 100 }

body! {
    pub struct AddComment {
        #[schema(example = "This is a new comment")]
        "Comment" => comment: CommentText,
        /// Defaults to your company's name.
        #[schema(example = "Support Agent")]
        "Author" => author: Option<CommentAuthor>,
    }
}

/// Add a comment to a ticket.
///
/// Comments keep the order in which they were added and cannot be changed.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/tickets/{id}/comment",
    tag = "Tickets",
    params(
        PracticePath,
        ("id" = TicketId, Path, description = "TicketID"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = AddComment,
    responses(
        (
            status = 201,
            body = Message<CommentBody>,
            headers(("Location" = String, description = "Path of the ticket with its comments.")),
        ),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`IDEMPOTENCY_IN_PROGRESS`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn comment_on_ticket(
    tenant: Tenant<scope::Tickets>,
    PathId(id): PathId<TicketId>,
    Once { body, key }: Once<AddComment>,
) -> ApiResult<impl IntoResponse> {
    let author = body.author.map_or_else(|| tenant.caller.partner.clone(), Into::into);
    let text = body.comment.0;
    let answer = create_once!(tenant, key, ("tickets.replay", "ticket", |_answer| Some(id.get())), |conn| {
        tickets::lock(conn, id).await?.ok_or_else(ApiError::not_found)?;
        let comment_id = tickets::comment(conn, id, &text, &author, tenant.now).await?;
        log::append(conn, "tickets", "update", id.get(), tenant.now, Some(&tenant.request_id)).await?;
        audit::record(conn, &tenant.audit("tickets.comment", "ticket", &[id.get()])).await?;
        let data = CommentBody {
            id: comment_id,
            comment: text.clone(),
            author: author.clone(),
            created_at: tenant.now,
        };
        JsonAnswer::new(StatusCode::CREATED, &Message { message: "Comment added successfully", data })
    })?;
    Ok(([(LOCATION, format!("/v1/{}/ticket/{id}", tenant.db.practicepass()))], answer))
}
