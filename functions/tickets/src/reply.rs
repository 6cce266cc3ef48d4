//! The JSON representation of tickets.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{self, ApiError, ApiResult, fit},
    domain::{
        ids::{CommentId, TicketId},
        ticket::{TicketPriority, TicketStatus},
    },
    sql::Conn,
    tenant::tickets::{self, Change, Comment, Ticket},
};
use utoipa::ToSchema;

/// A ticket. A field without a value is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Ticket)]
pub(crate) struct TicketBody {
    #[serde(rename = "TicketID")]
    id: TicketId,
    subject: String,
    /// Omitted from lists if the ticket exceeds 10,000 bytes; read the single ticket to get it.
    #[schema(required = false)]
    description: Option<String>,
    status: TicketStatus,
    priority: TicketPriority,
    assignee: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A ticket with its comments and its history.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TicketDetail {
    #[serde(flatten)]
    pub(crate) ticket: TicketBody,
    /// The newest comments, or those before the requested one, ordered from oldest to newest.
    /// `pagination` says whether there are older ones.
    comments: Vec<CommentBody>,
    /// The newest 100 status changes, ordered from oldest to newest.
    history: Vec<StatusChange>,
}

/// A comment on a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TicketComment)]
pub(crate) struct CommentBody {
    #[serde(rename = "CommentID")]
    pub(crate) id: CommentId,
    #[schema(example = "This is a new comment")]
    pub(crate) comment: String,
    #[schema(example = "Support Agent")]
    pub(crate) author: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
}

/// A status change of a ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TicketStatusChange)]
pub(crate) struct StatusChange {
    from: String,
    to: String,
    /// The partner that made the change, or the author that the EMR recorded.
    author: String,
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
}

impl From<Ticket> for TicketBody {
    fn from(ticket: Ticket) -> Self {
        let it = ticket.details;
        Self {
            id: ticket.id,
            subject: it.subject,
            description: it.description,
            status: it.status,
            priority: it.priority,
            assignee: it.assignee,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
        }
    }
}

impl From<Comment> for CommentBody {
    fn from(it: Comment) -> Self {
        let created_at = it.created_at();
        Self { id: it.comment_id, comment: it.comment, author: it.author, created_at }
    }
}

impl From<Change> for StatusChange {
    fn from(it: Change) -> Self {
        let changed_at = it.changed_at();
        Self { from: it.old_status, to: it.new_status, author: it.author, changed_at }
    }
}

impl TicketBody {
    pub(crate) fn etag(&self) -> ApiResult<String> {
        serde_json::to_value(self).map(|value| api::etag(&value)).map_err(|error| ApiError::internal(&error))
    }
}

/// Maximum size of the comments in a response, in bytes. The rest of a ticket is far smaller.
const COMMENT_BYTES: usize = 700_000;
const MOST_CHANGES: i64 = 100;
pub(crate) const MOST_COMMENTS: i64 = 100;

/// A ticket with its newest comments, or with the requested older ones.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TicketWithComments {
    #[serde(serialize_with = "fit::whole")]
    pub(crate) data: TicketDetail,
    pagination: CommentPagination,
}

/// Which of a ticket's comments a response contains.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CommentPagination {
    limit: i64,
    /// Whether there are older comments.
    has_more: bool,
    /// Send it as `before` to read the next older comments. Null if there are none.
    before: Option<CommentId>,
}

impl IntoResponse for TicketWithComments {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl TicketWithComments {
    pub(crate) async fn of(
        conn: &mut Conn,
        ticket: Ticket,
        before: Option<CommentId>,
        limit: i64,
    ) -> ApiResult<Self> {
        let found = tickets::newest_comments(conn, ticket.id, before, limit + 1).await?;
        let read = found.len();
        let newest: Vec<CommentBody> = found.into_iter().map(Into::into).collect();
        let most = newest.len().min(usize::try_from(limit).unwrap_or_default());
        let sizes = newest.iter().map(|it| serde_json::to_vec(it).map_or(0, |bytes| bytes.len() + 1));
        let fitting = fit::fill(COMMENT_BYTES, sizes.take(most)).min(most);
        let mut comments: Vec<CommentBody> = newest.into_iter().take(fitting).collect();
        comments.reverse();
        let has_more = fitting < read;
        let before = comments.first().filter(|_| has_more).map(|it| it.id);
        let history = tickets::newest_changes(conn, ticket.id, MOST_CHANGES).await?;
        let history = history.into_iter().rev().map(Into::into).collect();
        let data = TicketDetail { ticket: ticket.into(), comments, history };
        Ok(Self { data, pagination: CommentPagination { limit, has_more, before } })
    }
}
