//! `GET /v1/webhooks`

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Data, Partner, Problem},
    control::subscriptions::{DisabledReason, LastError, Subscription, SubscriptionState},
    domain::{EventScope, ids::SubscriptionId, pace::Pace},
};
use utoipa::ToSchema;

use crate::subscriber::Subscriber;

/// The queue in which deliveries wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LaneName {
    Fast,
    Slow,
}

/// Your subscription. Its secret is shown only when it is created.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionBody {
    id: SubscriptionId,
    hook_url: String,
    scopes: Vec<EventScope>,
    /// The part of `scopes` that none of your valid keys grants now.
    ///
    /// Their events are not sent until a key does.
    suspended_scopes: Vec<EventScope>,
    /// `paused` if an administrator paused it, `suspended` if all of its scopes are suspended.
    status: SubscriptionState,
    /// Why the subscription is disabled. Sign up again to activate it.
    disabled_reason: Option<DisabledReason>,
    /// RFC 3339.
    disabled_at: Option<String>,
    /// `slow` if your endpoint took more than a second or answered 429.
    ///
    /// Its deliveries then wait only for each other. `fast` again after five quick responses in a
    /// row.
    lane: LaneName,
    /// RFC 3339: nothing is sent until then, because your endpoint failed or requested a wait.
    ///
    /// Null if deliveries do not wait.
    held_until: Option<String>,
    /// The rate in calls per second since your endpoint answered 429; null without a limit.
    ///
    /// It grows until the next 429.
    rate: Option<f64>,
    /// RFC 3339: since when every attempt has failed.
    failing_since: Option<String>,
    /// RFC 3339; updated within an hour. Null if nothing has been delivered to this URL.
    last_success_at: Option<String>,
    /// The last error; updated within seconds. Null if nothing has failed at this URL.
    last_error: Option<LastError>,
    created_at: String,
    updated_at: String,
}

impl SubscriptionBody {
    fn new(subscription: Subscription, suspended_scopes: Vec<EventScope>, now: Timestamp) -> Self {
        let breaker = &subscription.breaker;
        let pace = breaker.pace(now);
        Self {
            lane: if breaker.is_slow() || pace.is_some() { LaneName::Slow } else { LaneName::Fast },
            held_until: breaker.held_until(now).map(|at| at.to_string()),
            rate: pace.map(Pace::calls_per_second),
            last_success_at: subscription.last.last_success_at.map(|at| at.to_string()),
            last_error: subscription.last.last_error.clone(),
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

/// Get your webhook subscription and the status of its deliveries.
///
/// Any webhook event scope allows this.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    tag = "Webhooks",
    responses(
        (status = 200, body = Data<SubscriptionBody>),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
    ),
)]
pub(crate) async fn get_subscription(Subscriber(partner): Subscriber) -> ApiResult<Data<SubscriptionBody>> {
    let subscription = load(&partner).await?;
    let caller = &partner.caller;
    let access = partner.app.partner_access(&caller.practicepass, &caller.partner_id).await?;
    let suspended = subscription.suspended_scopes(&access, partner.now());
    Ok(Data { data: SubscriptionBody::new(subscription, suspended, partner.now()) })
}

/// Returns the partner's subscription to the key's practice.
pub(crate) async fn load(partner: &Partner) -> ApiResult<Subscription> {
    let caller = &partner.caller;
    let found = partner.app.control.subscription(&caller.practicepass, &caller.partner_id).await?;
    found.ok_or_else(ApiError::not_found)
}
