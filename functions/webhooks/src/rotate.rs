//! `POST /v1/webhooks/rotate-secret`

use serde::Serialize;
use shared::{
    api::{ApiResult, Message, Partner, Problem},
    auth::webhook_signature::SigningSecret,
    control::subscriptions::{OLD_SECRET_VALID, OldSecret},
    domain::ids::SubscriptionId,
};
use utoipa::ToSchema;

use crate::subscription::load;

/// The new secret, shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rotated {
    id: SubscriptionId,
    secret: String,
    /// RFC 3339: until then the old secret's signature is sent beside the new one's.
    old_secret_valid_until: String,
}

/// Replace the secret that signs your deliveries.
///
/// For 24 hours each delivery carries two signatures, by the new and by the old secret, so that you can change over
/// without losing one.
#[utoipa::path(
    post,
    path = "/v1/webhooks/rotate-secret",
    tag = "Webhooks",
    responses(
        (status = 200, body = Message<Rotated>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
    ),
)]
pub(crate) async fn rotate_secret(partner: Partner) -> ApiResult<Message<Rotated>> {
    let mut subscription = load(&partner).await?;
    let new = SigningSecret::from_random(&partner.app.random.bytes());
    let secret = std::mem::replace(&mut subscription.secret, new);
    let valid_until = partner.now() + OLD_SECRET_VALID;
    subscription.old_secret = Some(OldSecret { secret, valid_until });
    subscription.updated_at = partner.now();
    subscription.version += 1;
    partner.app.control.save_subscription(&subscription, None).await?;
    let data = Rotated {
        id: subscription.id,
        secret: subscription.secret.reveal().to_owned(),
        old_secret_valid_until: valid_until.to_string(),
    };
    Ok(Message { message: "Webhook secret rotated successfully", data })
}
