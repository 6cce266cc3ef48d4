//! Handles `PUT /v1/{PPass}/ticket/{id}`.

use axum::{http::header::ETAG, response::IntoResponse};
use shared::{
    api::{
        ApiError, ApiResult, Body, IfMatch, Message, PathId, PracticePath, Problem, Tenant, Update, UpdateOf,
        scope,
    },
    domain::{
        ids::{CommentId, IntegerId, TicketId},
        ticket::{TicketPriority, TicketStatus},
    },
    in_transaction, patch,
    sql::audit,
    tenant::{
        log,
        tickets::{self, TicketDetails},
    },
};

use crate::{
    TicketAssignee, TicketDescription, TicketSubject,
    reply::{MOST_COMMENTS, TicketBody, TicketWithComments},
};

patch! {
    /// The fields to change. An absent field keeps its value; null clears it.
    ///
    /// `Status`, `Priority` and `Subject` cannot be cleared.
    #[derive(Clone)]
    pub struct UpdateTicket {
        "Status" => status: Replace<TicketStatus>,
        "Priority" => priority: Replace<TicketPriority>,
        "Assignee" => assignee: Patch<TicketAssignee>,
        "Subject" => subject: Replace<TicketSubject>,
        "Description" => description: Patch<TicketDescription>,
    }
}

impl UpdateOf for UpdateTicket {
    const READ_ONLY: &'static [&'static str] = &["TicketID", "CreatedAt", "UpdatedAt", "Comments", "History"];
}

impl UpdateTicket {
    fn apply(self, details: &mut TicketDetails) {
        self.subject.apply(&mut details.subject);
        self.status.apply(&mut details.status);
        self.priority.apply(&mut details.priority);
        self.assignee.apply(&mut details.assignee);
        self.description.apply(&mut details.description);
    }
}

/// Returns which of the ticket's comments were sent back: those before an id, and how many.
fn comments_sent(update: &Update<UpdateTicket>) -> (Option<CommentId>, i64) {
    let sent = update.sent("Comments").and_then(|it| it.as_array()).map_or(&[][..], Vec::as_slice);
    let newest = sent.iter().filter_map(|it| it["CommentID"].as_i64()).max();
    let count = i64::try_from(sent.len()).unwrap_or(MOST_COMMENTS);
    match newest {
        Some(newest) => (Some(CommentId(newest.saturating_add(1))), count.min(MOST_COMMENTS)),
        None => (None, MOST_COMMENTS),
    }
}

/// Update ticket status or other details.
///
/// An absent field keeps its value; null clears it. You can send a ticket back as you read it: a
/// value that equals the stored one is not a change, and a read-only field with another value is
/// rejected as `READ_ONLY_FIELD`. A request that changes nothing keeps `UpdatedAt`. With
/// `If-Match`, the ticket is changed only if it is still in the state that you read. The history
/// records every status change.
#[utoipa::path(
    put,
    path = "/v1/{PPass}/ticket/{id}",
    tag = "Tickets",
    params(
        PracticePath,
        ("id" = TicketId, Path, description = "TicketID"),
        ("If-Match" = Option<String>, Header, description = "Entity tags, separated by commas, or `*`."),
    ),
    request_body = UpdateTicket,
    responses(
        (status = 200, body = Message<TicketBody>, headers(("ETag" = String,
            description = "The new entity tag."))),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 412, body = Problem, description = "`PRECONDITION_FAILED`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`"),
    ),
)]
pub(crate) async fn update_ticket(
    tenant: Tenant<scope::Tickets>,
    PathId(id): PathId<TicketId>,
    if_match: IfMatch,
    Body(update): Body<Update<UpdateTicket>>,
) -> ApiResult<impl IntoResponse> {
    let data = in_transaction!(tenant.db, ApiError, |conn| {
        let ticket = tickets::lock(conn, id).await?.ok_or_else(|| update.of_nothing())?;
        let (before, limit) = comments_sent(&update);
        let stored = TicketWithComments::of(conn, ticket.clone(), before, limit).await?.data;
        let change = update.against(&stored)?;
        if_match.check(&TicketBody::from(ticket.clone()).etag()?)?;
        let mut details = ticket.details.clone();
        change.apply(&mut details);
        if details != ticket.details {
            tickets::update(conn, &ticket, &details, &tenant.caller.partner, tenant.now).await?;
            log::append(conn, "tickets", "update", id.get(), tenant.now, Some(&tenant.request_id)).await?;
        }
        audit::record(conn, &tenant.audit("tickets.update", "ticket", &[id.get()])).await?;
        let after = tickets::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
        Ok(TicketBody::from(after))
    })?;
    Ok(([(ETAG, data.etag()?)], Message { message: "Ticket updated successfully", data }))
}
