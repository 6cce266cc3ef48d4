//! Handles `GET /v1/admin/webhooks`.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use shared::{
    api::{Admin, ApiError, ApiResult, CursorPage, CursorParam, Limit, Problem, Query},
    control::{
        self,
        subscriptions::{DisabledReason, LastError, Subscription, SubscriptionState},
    },
    domain::{
        EventScope, PracticePass,
        ids::{PartnerId, SubscriptionId},
    },
    params,
};
use utoipa::ToSchema;

/// Number of partners that are read concurrently.
const CONCURRENCY: usize = 16;

params! {
    pub(crate) struct ListSubscriptions {
        "limit" => limit: Option<Limit>,
        /// The `nextCursor` of the previous page.
        "cursor" => cursor: Option<CursorParam>,
    }
}

/// A partner's webhook subscription, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionRow {
    id: SubscriptionId,
    partner_id: PartnerId,
    /// The partner's company; null if the partner no longer exists.
    partner: Option<String>,
    practicepass: PracticePass,
    hook_url: String,
    scopes: Vec<EventScope>,
    /// The part of `scopes` that no valid key of the partner grants now.
    suspended_scopes: Vec<EventScope>,
    /// `suspended` if all scopes are.
    ///
    /// The subscription becomes active automatically when access returns.
    status: SubscriptionState,
    disabled_reason: Option<DisabledReason>,
    /// RFC 3339, like the times below: when an administrator paused the subscription.
    paused_at: Option<String>,
    /// Until when deliveries wait because the endpoint fails or requested it; null if none do.
    held_until: Option<String>,
    /// Since when every attempt has failed.
    failing_since: Option<String>,
    /// When a delivery last succeeded; updated within an hour.
    last_success_at: Option<String>,
    /// The last error; updated within seconds.
    last_error: Option<LastError>,
    created_at: String,
}

/// Returns the row of a subscription with its current status. `partner` is the partner's company.
pub(crate) async fn row(
    admin: &Admin,
    subscription: Subscription,
    partner: Option<String>,
) -> control::Result<SubscriptionRow> {
    let access = admin.app.partner_access(&subscription.practicepass, &subscription.partner_id).await?;
    let suspended_scopes = subscription.suspended_scopes(&access, admin.now());
    Ok(SubscriptionRow {
        id: subscription.id,
        partner,
        status: subscription.shown_status(&suspended_scopes),
        suspended_scopes,
        hook_url: subscription.hook_url.as_str().to_owned(),
        disabled_reason: subscription.disabled_reason,
        paused_at: subscription.paused_at.map(|at| at.to_string()),
        held_until: subscription.breaker.held_until(admin.now()).map(|at| at.to_string()),
        failing_since: subscription.failing_since.map(|at| at.to_string()),
        last_success_at: subscription.last.last_success_at.map(|at| at.to_string()),
        last_error: subscription.last.last_error,
        created_at: subscription.created_at.to_string(),
        partner_id: subscription.partner_id,
        practicepass: subscription.practicepass,
        scopes: subscription.scopes,
    })
}

/// Loads the subscription.
///
/// # Errors
/// 404 if the subscription does not exist.
pub(crate) async fn load(admin: &Admin, id: SubscriptionId) -> ApiResult<Subscription> {
    admin.app.control.subscription_by_id(id).await?.ok_or_else(ApiError::not_found)
}

/// Returns the partner's company, or `None` if the partner does not exist.
pub(crate) async fn company(admin: &Admin, partner: &PartnerId) -> control::Result<Option<String>> {
    Ok(admin.app.control.partner(partner).await?.map(|it| it.company))
}

/// List the webhook subscriptions of all partners, newest first.
///
/// A change to a partner's access appears in `status` within 40 seconds.
#[utoipa::path(
    get,
    path = "/v1/admin/webhooks",
    tag = "Administration",
    params(ListSubscriptions),
    responses(
        (status = 200, body = CursorPage<SubscriptionRow>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
    ),
)]
pub(crate) async fn list_webhook_subscriptions(
    admin: Admin,
    Query(query): Query<ListSubscriptions>,
) -> ApiResult<CursorPage<SubscriptionRow>> {
    let limit = Limit::or_default(query.limit);
    let after = query.cursor.map(|cursor| cursor.0);
    let slice = admin.app.control.subscriptions(limit.items(), after.as_ref()).await?;
    let partners: HashSet<PartnerId> = slice.items.iter().map(|it| it.partner_id.clone()).collect();
    let companies = stream::iter(partners)
        .map(async |id| Ok::<_, control::Error>((id.clone(), company(&admin, &id).await?)))
        .buffer_unordered(CONCURRENCY);
    let companies: HashMap<PartnerId, Option<String>> = companies.try_collect().await?;
    let rows = stream::iter(slice.items)
        .map(|it| {
            let partner = companies.get(&it.partner_id).cloned().flatten();
            row(&admin, it, partner)
        })
        .buffered(CONCURRENCY);
    let items: Vec<SubscriptionRow> = rows.try_collect().await?;
    Ok(CursorPage::new(control::ListPage { items, next: slice.next }, limit))
}
