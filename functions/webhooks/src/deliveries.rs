//! `GET /v1/webhooks/deliveries`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    api::{ApiResult, FieldProblem, FieldValue, Limit, Problem, Query, Source},
    control::deliveries::{Cursor, Delivery},
    domain::{
        PracticePass,
        delivery::DeliveryStatus,
        ids::{DeliveryId, SubscriptionId},
    },
    params,
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, subscription::load};

/// Where a list goes on.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct CursorText(Cursor);

impl FieldValue for CursorText {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let cursor = Cursor::parse(source.text()?);
        cursor.map(Self).ok_or_else(|| FieldProblem::invalid("must be a 'nextCursor' of this list"))
    }
}

params! {
    pub(crate) struct ListDeliveries {
        /// Only those that succeeded, or only those that didn't.
        "success" => success: Option<bool>,
        "limit" => limit: Option<Limit>,
        /// `nextCursor` of the page before.
        "cursor" => cursor: Option<CursorText>,
    }
}

/// One event on its way to you.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryBody {
    id: DeliveryId,
    subscription_id: SubscriptionId,
    practicepass: PracticePass,
    event: String,
    event_id: String,
    status: DeliveryStatus,
    success: bool,
    /// Of the last attempt; null when it had no answer.
    status_code: Option<u16>,
    /// Attempts that have ended.
    attempts: u32,
    error_message: Option<String>,
    /// Of the last attempt.
    duration_ms: Option<u64>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; null when none is to come.
    next_attempt_at: Option<String>,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        let waits = delivery.next_attempt_at.filter(|_| delivery.status == DeliveryStatus::Retrying);
        Self {
            id: delivery.id,
            subscription_id: delivery.subscription_id,
            success: delivery.succeeded(),
            practicepass: delivery.practicepass,
            event: delivery.payload.event,
            event_id: delivery.payload.event_id,
            status: delivery.status,
            status_code: delivery.status_code,
            attempts: delivery.attempts,
            error_message: delivery.error_message,
            duration_ms: delivery.duration_ms,
            created_at: delivery.created_at.to_string(),
            next_attempt_at: waits.map(|at| at.to_string()),
        }
    }
}

/// Deliveries, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deliveries {
    data: Vec<DeliveryBody>,
    /// On this page.
    count: usize,
    pagination: CursorPagination,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CursorPagination {
    limit: i64,
    has_more: bool,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
}

impl IntoResponse for Deliveries {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// List the deliveries of your subscription, tests and retries included.
///
/// They are kept for 30 days. New ones arrive all the time, so pages are asked for by cursor, not by number. Any
/// webhook event scope allows this.
#[utoipa::path(
    get,
    path = "/v1/webhooks/deliveries",
    tag = "Webhooks",
    params(ListDeliveries),
    responses(
        (status = 200, body = Deliveries),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 403, body = Problem, description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
    ),
)]
pub(crate) async fn list_deliveries(
    Subscriber(partner): Subscriber,
    Query(query): Query<ListDeliveries>,
) -> ApiResult<Deliveries> {
    let subscription = load(&partner).await?;
    let limit = query.limit.map_or(25, |limit| limit.0);
    let after = query.cursor.map(|cursor| cursor.0);
    let wanted = usize::try_from(limit).unwrap_or(25);
    let page =
        partner.app.control.deliveries_of(subscription.id, query.success, wanted, after.as_ref()).await?;
    Ok(Deliveries {
        count: page.deliveries.len(),
        data: page.deliveries.into_iter().map(DeliveryBody::from).collect(),
        pagination: CursorPagination {
            limit,
            has_more: page.next.is_some(),
            next_cursor: page.next.map(|cursor| cursor.to_text()),
        },
    })
}
