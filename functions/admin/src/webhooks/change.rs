//! Handles `POST /v1/admin/webhooks/{id}/pause`, `POST …/{id}/resume` and `DELETE …/{id}`.

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{Admin, ApiResult, Change, Data, Message, NoBody, PathId, Problem},
    domain::ids::SubscriptionId,
    webhook_operations::drain_in_flight,
};
use utoipa::ToSchema;

use super::subscriptions::{SubscriptionRow, company, load, row};

/// The subscription that was deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedSubscription {
    id: SubscriptionId,
}

/// Pause a webhook subscription.
///
/// No further event is sent, and no retry. Deliveries are canceled with the reason
/// `SUBSCRIPTION_PAUSED`; they continue automatically if the subscription is resumed within the
/// time of their retry schedules. Pausing a paused subscription has no effect.
#[utoipa::path(
    post,
    path = "/v1/admin/webhooks/{id}/pause",
    tag = "Administration",
    params(("id" = SubscriptionId, Path, description = "The subscription's id", example = 1)),
    responses(
        (status = 200, body = Data<SubscriptionRow>),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
    ),
)]
pub(crate) async fn pause_webhook(
    admin: Admin,
    PathId(id): PathId<SubscriptionId>,
    _: NoBody,
) -> ApiResult<Data<SubscriptionRow>> {
    let now = admin.now();
    let row = set_pause(&admin, id, "webhooks.pause", Some(now)).await?;
    drain_in_flight(&admin.app).await;
    Ok(row)
}

/// Resume a paused webhook subscription.
///
/// Deliveries that the pause canceled continue automatically, older ones later than newer ones.
/// Resuming a subscription that is not paused has no effect.
#[utoipa::path(
    post,
    path = "/v1/admin/webhooks/{id}/resume",
    tag = "Administration",
    params(("id" = SubscriptionId, Path, description = "The subscription's id", example = 1)),
    responses(
        (status = 200, body = Data<SubscriptionRow>),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
    ),
)]
pub(crate) async fn resume_webhook(
    admin: Admin,
    PathId(id): PathId<SubscriptionId>,
    _: NoBody,
) -> ApiResult<Data<SubscriptionRow>> {
    set_pause(&admin, id, "webhooks.resume", None).await
}

async fn set_pause(
    admin: &Admin,
    id: SubscriptionId,
    action: &'static str,
    paused_at: Option<Timestamp>,
) -> ApiResult<Data<SubscriptionRow>> {
    let mut subscription = load(admin, id).await?;
    if subscription.paused_at.is_some() != paused_at.is_some() {
        let write = admin.app.control.pause_subscription_write(&subscription, paused_at, admin.now())?;
        admin.commit(Change::new(action, &id.to_string()), vec![write]).await?;
        subscription.paused_at = paused_at;
    }
    let company = company(admin, &subscription.partner_id).await?;
    Ok(Data { data: row(admin, subscription, company).await? })
}

/// Delete a partner's webhook subscription.
///
/// No further event is sent, and no retry. The partner can sign up again if it has access.
#[utoipa::path(
    delete,
    path = "/v1/admin/webhooks/{id}",
    tag = "Administration",
    params(("id" = SubscriptionId, Path, description = "The subscription's id", example = 1)),
    responses(
        (status = 200, body = Message<DeletedSubscription>),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
    ),
)]
pub(crate) async fn delete_webhook(
    admin: Admin,
    PathId(id): PathId<SubscriptionId>,
) -> ApiResult<Message<DeletedSubscription>> {
    let subscription = load(&admin, id).await?;
    let write = admin.app.control.remove_subscription_write(&subscription)?;
    admin.commit(Change::new("webhooks.delete", &id.to_string()), vec![write]).await?;
    drain_in_flight(&admin.app).await;
    Ok(Message { message: "Webhook subscription deleted successfully", data: DeletedSubscription { id } })
}
