//! Handles `POST /v1/{PPass}/tickets`.

use axum::{
    http::{
        StatusCode,
        header::{ETAG, LOCATION},
    },
    response::{IntoResponse, Response},
};
use shared::{
    api::{ApiError, ApiResult, JsonAnswer, Message, Once, PracticePath, Problem, Tenant, etag, scope},
    body, create_once,
    domain::{
        ids::IntegerId,
        ticket::{TicketPriority, TicketStatus},
    },
    sql::audit,
    tenant::{
        log,
        tickets::{self, TicketDetails},
    },
};

use crate::{TicketAssignee, TicketDescription, TicketSubject, reply::TicketBody};

body! {
    pub struct CreateTicket {
        "Subject" => subject: TicketSubject,
        "Description" => description: Option<TicketDescription>,
        /// Defaults to `Normal`.
        "Priority" => priority: Option<TicketPriority>,
        "Assignee" => assignee: Option<TicketAssignee>,
    }
}

/// Open a ticket.
///
/// The status of a new ticket is `Open`.
#[utoipa::path(
    post,
    path = "/v1/{PPass}/tickets",
    tag = "Tickets",
    params(
        PracticePath,
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = CreateTicket,
    responses(
        (
            status = 201,
            body = Message<TicketBody>,
            headers(
                ("ETag" = String, description = "Entity tag of the new ticket."),
                ("Location" = String, description = "Path of the new ticket."),
            ),
        ),
        (status = 409, body = Problem, description = "`IDEMPOTENCY_IN_PROGRESS`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn create_ticket(
    tenant: Tenant<scope::Tickets>,
    Once { body, key }: Once<CreateTicket>,
) -> ApiResult<Response> {
    let details = TicketDetails {
        subject: body.subject.into(),
        description: body.description.map(Into::into),
        status: TicketStatus::Open,
        priority: body.priority.unwrap_or(TicketPriority::Normal),
        assignee: body.assignee.map(Into::into),
    };
    let answer =
        create_once!(tenant, key, ("tickets.replay", "ticket", |answer| answer.id("TicketID")), |conn| {
            let id = tickets::insert(conn, &details, tenant.now).await?;
            log::append(conn, "tickets", "insert", id.get(), tenant.now, Some(&tenant.request_id)).await?;
            audit::record(conn, &tenant.audit("tickets.create", "ticket", &[id.get()])).await?;
            let ticket = tickets::find(conn, id).await?.ok_or_else(ApiError::not_found)?;
            let data = TicketBody::from(ticket);
            JsonAnswer::new(StatusCode::CREATED, &Message { message: "Ticket created successfully", data })
        })?;
    let data = answer.data();
    let location = format!("/v1/{}/ticket/{}", tenant.db.practicepass(), data["TicketID"]);
    Ok(([(LOCATION, location), (ETAG, etag(&data))], answer).into_response())
}
