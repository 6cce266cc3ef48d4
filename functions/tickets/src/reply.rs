//! Tickets as partners read them.

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{self, ApiError, ApiResult},
    domain::{
        ids::{CommentId, TicketId},
        ticket::{TicketPriority, TicketStatus},
    },
    tenant::{
        Conn,
        tickets::{self, Change, Comment, Ticket},
    },
};
use utoipa::ToSchema;

/// A ticket; fields that are not set are null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Ticket)]
pub(crate) struct TicketBody {
    #[serde(rename = "TicketID")]
    id: TicketId,
    subject: String,
    description: Option<String>,
    status: TicketStatus,
    priority: TicketPriority,
    assignee: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A ticket with all that was said of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TicketDetail {
    #[serde(flatten)]
    pub(crate) ticket: TicketBody,
    /// Oldest first.
    comments: Vec<CommentBody>,
    /// Its changes of state, oldest first.
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

/// A change of a ticket's state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TicketStatusChange)]
pub(crate) struct StatusChange {
    from: String,
    to: String,
    /// The partner that made it, or whom the EMR names.
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

impl TicketDetail {
    pub(crate) async fn of(conn: &mut Conn, ticket: Ticket) -> ApiResult<Self> {
        let comments = tickets::comments(conn, ticket.id).await?.into_iter().map(Into::into).collect();
        let history = tickets::history(conn, ticket.id).await?.into_iter().map(Into::into).collect();
        Ok(Self { ticket: ticket.into(), comments, history })
    }
}
