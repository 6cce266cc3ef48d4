//! `DELETE /v1/webhooks`

use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Code, Message, Problem},
    domain::ids::SubscriptionId,
    webhook_operations::drain_in_flight,
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, subscription::load};

/// The subscription that was deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    id: SubscriptionId,
}

/// Delete your webhook subscription.
///
/// No further event is sent, and no retry. If you sign up again, the subscription keeps its id and
/// gets a new secret. Any webhook event scope allows this.
#[utoipa::path(
    delete,
    path = "/v1/webhooks",
    tag = "Webhooks",
    responses(
        (status = 200, body = Message<Deleted>),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_PAUSED`: an administrator paused it"),
    ),
)]
pub(crate) async fn delete_subscription(Subscriber(partner): Subscriber) -> ApiResult<Message<Deleted>> {
    let subscription = load(&partner).await?;
    // Otherwise a partner could end the pause by deleting the subscription and signing up again.
    if subscription.paused_at.is_some() {
        let detail = "An administrator paused the subscription: nothing is sent. It can be deleted after \
            it is resumed.";
        return Err(ApiError::new(Code::SubscriptionPaused, detail));
    }
    if !partner.app.control.delete_subscription(&subscription).await? {
        return Err(ApiError::not_found());
    }
    drain_in_flight(&partner.app).await;
    Ok(Message {
        message: "Webhook subscription deleted successfully",
        data: Deleted { id: subscription.id },
    })
}
