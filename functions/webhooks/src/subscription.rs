//! `GET /v1/webhooks`

use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Data, Partner, Problem},
    control::subscriptions::{DisabledReason, Subscription, SubscriptionState},
    domain::{EventScope, ids::SubscriptionId},
};
use utoipa::ToSchema;

use crate::subscriber::Subscriber;

/// Your subscription. Its secret is shown only when it is made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionBody {
    id: SubscriptionId,
    hook_url: String,
    scopes: Vec<EventScope>,
    /// Those of `scopes` that no live key of yours grants now: nothing of them is sent until one does.
    suspended_scopes: Vec<EventScope>,
    /// `paused`: an administrator holds it back. `suspended`: all of its scopes are.
    status: SubscriptionState,
    /// Why nothing is sent any more; sign up again to go on.
    disabled_reason: Option<DisabledReason>,
    /// RFC 3339.
    disabled_at: Option<String>,
    /// RFC 3339: since when every attempt has failed.
    failing_since: Option<String>,
    created_at: String,
    updated_at: String,
}

impl SubscriptionBody {
    fn new(subscription: Subscription, suspended_scopes: Vec<EventScope>) -> Self {
        Self {
            status: subscription.shown_status(&suspended_scopes),
            suspended_scopes,
            id: subscription.id,
            hook_url: subscription.hook_url.as_str().to_owned(),
            scopes: subscription.scopes,
            disabled_reason: subscription.disabled_reason,
            disabled_at: subscription.disabled_at.map(|at| at.to_string()),
            failing_since: subscription.failing_since.map(|at| at.to_string()),
            created_at: subscription.created_at.to_string(),
            updated_at: subscription.updated_at.to_string(),
        }
    }
}

/// Get your webhook subscription.
///
/// Any webhook event scope allows this.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    tag = "Webhooks",
    responses(
        (status = 200, body = Data<SubscriptionBody>),
        (status = 403, body = Problem, description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have none"),
    ),
)]
pub(crate) async fn get_subscription(Subscriber(partner): Subscriber) -> ApiResult<Data<SubscriptionBody>> {
    let subscription = load(&partner).await?;
    let caller = &partner.caller;
    let access = partner.app.partner_access(&caller.practicepass, &caller.partner_id).await?;
    let suspended = subscription.suspended_scopes(&access, partner.now());
    Ok(Data { data: SubscriptionBody::new(subscription, suspended) })
}

/// The partner's subscription to the key's practice.
pub(crate) async fn load(partner: &Partner) -> ApiResult<Subscription> {
    let caller = &partner.caller;
    let found = partner.app.control.subscription(&caller.practicepass, &caller.partner_id).await?;
    found.ok_or_else(ApiError::not_found)
}
