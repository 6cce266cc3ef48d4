//! `GET /v1/webhooks/deliveries`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    api::{ApiResult, CursorPagination, FieldProblem, FieldValue, Limit, Problem, Query, Source, fit},
    control::Cursor,
    domain::ids::DeliveryId,
    params,
    webhook_operations::DeliveryBody,
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, subscription::load};

/// The position where a list continues.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 40, pattern = "^[A-Za-z0-9_-]+$")]
pub(crate) struct CursorText(DeliveryId);

impl FieldValue for CursorText {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let cursor = Cursor::parse(source.text()?).and_then(|it| it.delivery());
        cursor.map(Self).ok_or_else(|| FieldProblem::invalid("must be a 'nextCursor' of this list"))
    }
}

params! {
    pub(crate) struct ListDeliveries {
        /// Limits the list to deliveries that succeeded, or to those that did not.
        "success" => success: Option<bool>,
        "limit" => limit: Option<Limit>,
        /// The `nextCursor` of the previous page.
        "cursor" => cursor: Option<CursorText>,
    }
}

/// Deliveries, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deliveries {
    #[serde(serialize_with = "fit::rows")]
    data: Vec<DeliveryBody>,
    /// Number of deliveries on this page.
    count: usize,
    pagination: CursorPagination,
}

impl IntoResponse for Deliveries {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// List the deliveries of your current and earlier subscriptions, including tests and retries.
///
/// Deliveries are stored for 30 days. New ones are added continuously, so request pages by cursor,
/// not by number. Any webhook event scope allows this.
#[utoipa::path(
    get,
    path = "/v1/webhooks/deliveries",
    tag = "Webhooks",
    params(ListDeliveries),
    responses(
        (status = 200, body = Deliveries),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
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
    let (practicepass, partner_id) = (&subscription.practicepass, &subscription.partner_id);
    let page =
        partner.app.control.deliveries_of(practicepass, partner_id, query.success, wanted, after).await?;
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
