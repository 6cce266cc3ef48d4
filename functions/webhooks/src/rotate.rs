//! `POST /v1/webhooks/rotate-secret`

use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Code, Message, NoBody, Problem},
    auth::webhook_signature::SigningSecret,
    domain::ids::SubscriptionId,
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, subscription::load};

/// The new secret, which is shown only once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rotated {
    id: SubscriptionId,
    secret: String,
    /// RFC 3339: deliveries are also signed with the replaced secret until then.
    old_secret_valid_until: String,
}

/// Replace the secret that signs your deliveries.
///
/// The replaced secret stays valid for 24 hours, even if you rotate again. During that time, the
/// `webhook-signature` of each delivery contains a signature by each valid secret, newest first,
/// separated by spaces, so you can change over without losing a delivery. At most four replaced
/// secrets can be valid at a time. Any webhook event scope allows this.
#[utoipa::path(
    post,
    path = "/v1/webhooks/rotate-secret",
    tag = "Webhooks",
    responses(
        (status = 200, body = Message<Rotated>),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
        (status = 409, body = Problem,
            description = "`ROTATED_TOO_OFTEN`: four replaced secrets are still valid; `CONCURRENT_CHANGE`"),
    ),
)]
pub(crate) async fn rotate_secret(Subscriber(partner): Subscriber, _: NoBody) -> ApiResult<Message<Rotated>> {
    let mut subscription = load(&partner).await?;
    let new = SigningSecret::from_random(&partner.app.random.bytes());
    let valid_until = subscription.rotate(new, partner.now()).map_err(|end| {
        let detail = format!("Four replaced secrets are still valid; the first of them expires at {end}.");
        ApiError::new(Code::RotatedTooOften, detail)
            .retry_after(end.duration_since(partner.now()).as_secs() + 1)
    })?;
    subscription.updated_at = partner.now();
    subscription.version += 1;
    // A disabled subscription stays disabled.
    partner.app.control.update_subscription(&subscription, None).await?;
    let data = Rotated {
        id: subscription.id,
        secret: subscription.secret.reveal().to_owned(),
        old_secret_valid_until: valid_until.to_string(),
    };
    Ok(Message { message: "Webhook secret rotated successfully", data })
}
