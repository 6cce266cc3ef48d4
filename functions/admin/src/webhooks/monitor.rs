//! Handles `GET /v1/admin/webhooks/monitor`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{
        Admin, ApiResult, FieldProblem, FieldValue, Limit, Offset, OffsetPagination, Problem, Query, Source,
        fit,
    },
    app::App,
    control::{
        self, Store,
        data_problems::DataProblems,
        deliveries::Delivery,
        queue::Lane,
        subscriptions::{BreakerState, DisabledReason, Subscription},
    },
    domain::{
        PracticePass,
        ids::{DeliveryId, PartnerId, SubscriptionId},
        pace::Pace,
    },
    params,
    webhook_operations::DeliveryBody,
};
use tokio::try_join;
use utoipa::ToSchema;

use super::dispatch::DispatchStateBody;

/// Maximum size of the dispatch states in a response, in bytes.
const STATES_BYTES: usize = 300_000;
/// Maximum length of each of the other lists.
const MOST_NAMED: usize = 100;

/// The `PPass` of a practice.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$")]
pub(crate) struct PracticeParam(PracticePass);

impl FieldValue for PracticeParam {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let practicepass = PracticePass::try_from(source.text()?);
        practicepass.map(Self).map_err(|reason| FieldProblem::invalid(reason.to_owned()))
    }
}

params! {
    pub(crate) struct MonitorWebhooks {
        /// Returns only the data of this practice; `queue` always covers all practices.
        #[param(example = "DemoOffice")]
        "practicepass" => practicepass: Option<PracticeParam>,
        /// Limits `recentDeliveries` to those that have succeeded, or to those that have not.
        #[param(example = false)]
        "success" => success: Option<bool>,
        /// Maximum number of `recentDeliveries`.
        #[param(example = 50)]
        "limit" => limit: Option<Limit>,
        /// Number of the newest deliveries to skip.
        #[param(example = 0)]
        "offset" => offset: Option<Offset>,
    }
}

/// The health of webhooks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Monitor {
    summary: Summary,
    /// The first 1,000 practices' logs, if they have been read, ordered by practice.
    dispatch_states: Vec<DispatchStateBody>,
    /// Number of these practices that do not fit in the response; omitted if all of them fit.
    ///
    /// Use `practicepass` to read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    dispatch_states_omitted: Option<usize>,
    /// Newest first. Deliveries are stored for 30 days.
    #[serde(serialize_with = "fit::rows")]
    recent_deliveries: Vec<DeliveryBody>,
    queue: QueueFigures,
    /// At most 100 subscriptions that the platform disabled, ordered by practice.
    ///
    /// Nothing is sent until the partner signs up again.
    disabled_subscriptions: Vec<DisabledSubscription>,
    /// At most 100 active subscriptions whose deliveries are held back, ordered by practice.
    ///
    /// Deliveries resume automatically when the endpoint recovers.
    breakers: Vec<BreakerBody>,
    /// At most 100 EMR tables with rows that could not be read yesterday or today.
    ///
    /// Tables of the catalog come first, the others are ordered by practice. Such a row is skipped,
    /// or read without its unreadable values.
    data_problems: Vec<DataProblemBody>,
    pagination: OffsetPagination,
}

/// The numbers of subscriptions and deliveries.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// Active and disabled subscriptions. Each of the two counts stops at 10,000.
    #[schema(example = 3)]
    total_subscriptions: i64,
    #[schema(example = 2)]
    active_subscriptions: i64,
    /// Deliveries whose first attempt has ended.
    ///
    /// Includes manual retries; excludes tests and their retries.
    #[schema(example = 150)]
    total_deliveries: i64,
    /// The part of `totalDeliveries` that has not succeeded.
    #[schema(example = 4)]
    failed_deliveries: i64,
    /// Percentage of deliveries that succeeded, with two decimals; 0 if there are none.
    #[schema(example = 97.33)]
    success_rate: f64,
}

/// Deliveries that are waiting, in all practices.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueFigures {
    /// Number of due retries; the count stops at 10,000.
    due_retries: i64,
    /// The open delivery that has waited longest; null if there is none.
    ///
    /// Events that have not been attempted yet are not considered.
    oldest_undelivered_event: Option<UndeliveredEvent>,
    /// Approximate number of events that the platform failed to process; null if currently unknown.
    dead_letters: Option<i64>,
}

/// An event and its open delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UndeliveredEvent {
    event_id: String,
    delivery_id: DeliveryId,
    practicepass: PracticePass,
    /// RFC 3339: when the event happened.
    occurred_at: String,
    /// RFC 3339: when the delivery was created.
    created_at: String,
}

/// A subscription that the platform disabled.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DisabledSubscription {
    id: SubscriptionId,
    partner_id: PartnerId,
    practicepass: PracticePass,
    reason: Option<DisabledReason>,
    /// RFC 3339.
    since: Option<String>,
}

/// How a subscription's deliveries are held back.
///
/// `slow`: they wait in a separate queue. `open`: the circuit breaker is open until a time.
/// `half-open`: one delivery probes the endpoint, and the others wait. `held`: they wait until a
/// time, because the endpoint answered 429. `paced`: they are sent at a limited rate after that.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BreakerBody {
    id: SubscriptionId,
    partner_id: PartnerId,
    practicepass: PracticePass,
    state: BreakerState,
    /// RFC 3339: since when every attempt has failed.
    failing_since: Option<String>,
    /// RFC 3339: since when the endpoint has been too slow for the shared queue.
    slow_since: Option<String>,
    /// RFC 3339: when an endpoint that hung or failed is probed.
    open_until: Option<String>,
    /// RFC 3339: nothing is sent until then, for any reason.
    held_until: Option<String>,
    /// The rate in calls per second since the endpoint answered 429; null without a limit.
    rate: Option<f64>,
}

/// Rows of one table that could not be read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DataProblemBody {
    /// Null for the catalog, which all practices share.
    practicepass: Option<PracticePass>,
    #[schema(example = "schedule_exceptions")]
    table: String,
    /// Number of distinct rows; the count stops at 500.
    #[schema(example = 1)]
    count: usize,
    /// The primary key of the row that was found last.
    #[schema(example = "8812")]
    last_id: String,
    /// RFC 3339.
    last_seen_at: String,
}

impl From<DataProblems> for DataProblemBody {
    fn from(problems: DataProblems) -> Self {
        let DataProblems { practicepass, table, count, last_id, last_seen_at } = problems;
        Self { practicepass, table, count, last_id, last_seen_at: last_seen_at.to_string() }
    }
}

impl From<Delivery> for UndeliveredEvent {
    fn from(delivery: Delivery) -> Self {
        Self {
            event_id: delivery.payload.event_id,
            delivery_id: delivery.id,
            practicepass: delivery.practicepass,
            occurred_at: delivery.payload.occurred_at.to_string(),
            created_at: delivery.created_at.to_string(),
        }
    }
}

impl From<Subscription> for DisabledSubscription {
    fn from(subscription: Subscription) -> Self {
        Self {
            id: subscription.id,
            partner_id: subscription.partner_id,
            practicepass: subscription.practicepass,
            reason: subscription.disabled_reason,
            since: subscription.disabled_at.map(|at| at.to_string()),
        }
    }
}

impl BreakerBody {
    fn new(subscription: Subscription, now: Timestamp) -> Self {
        let breaker = &subscription.breaker;
        Self {
            state: breaker.state(now),
            failing_since: subscription.failing_since.map(|at| at.to_string()),
            slow_since: breaker.slow_since().map(|at| at.to_string()),
            open_until: breaker.open_until().map(|at| at.to_string()),
            held_until: breaker.held_until(now).map(|at| at.to_string()),
            rate: breaker.pace(now).map(Pace::calls_per_second),
            id: subscription.id,
            partner_id: subscription.partner_id,
            practicepass: subscription.practicepass,
        }
    }
}

impl IntoResponse for Monitor {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Monitor the health of webhooks and their recent deliveries.
///
/// `summary` counts all deliveries ever made, or all of the given practice; `success` does not
/// change it. Tests and retries of tests are in `recentDeliveries` but not counted, because they
/// say nothing about events. Recent activity can appear with a short delay.
#[utoipa::path(
    get,
    path = "/v1/admin/webhooks/monitor",
    tag = "Administration",
    params(MonitorWebhooks),
    responses(
        (status = 200, body = Monitor),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
    ),
)]
pub(crate) async fn monitor_webhooks(
    admin: Admin,
    Query(query): Query<MonitorWebhooks>,
) -> ApiResult<Monitor> {
    let practicepass = query.practicepass.map(|it| it.0);
    let practicepass = practicepass.as_ref();
    let limit = Limit::or_default(query.limit);
    let offset = query.offset.map_or(0, |it| it.0);
    let skipped = usize::try_from(offset).unwrap_or_default();
    let (store, now) = (&admin.app.control, admin.now());
    let (summary, states, recent, queue, disabled, held_back, data_problems) = try_join!(
        summary(store, practicepass),
        store.dispatch_states(practicepass),
        store.recent_deliveries(practicepass, query.success, skipped, limit.items()),
        queue(&admin.app),
        store.disabled_subscriptions(practicepass, MOST_NAMED),
        store.held_back_subscriptions(practicepass, MOST_NAMED, now),
        store.data_problems(practicepass, MOST_NAMED, now),
    )?;
    let mut states: Vec<DispatchStateBody> = states.into_iter().map(DispatchStateBody::from).collect();
    let omitted = fit::leave(&mut states, STATES_BYTES);
    Ok(Monitor {
        summary,
        dispatch_states: states,
        dispatch_states_omitted: Some(omitted).filter(|omitted| *omitted > 0),
        recent_deliveries: recent.deliveries.into_iter().map(DeliveryBody::from).collect(),
        queue,
        disabled_subscriptions: disabled.into_iter().map(DisabledSubscription::from).collect(),
        breakers: held_back.into_iter().map(|it| BreakerBody::new(it, now)).collect(),
        data_problems: data_problems.into_iter().map(DataProblemBody::from).collect(),
        pagination: OffsetPagination { limit: limit.0, offset, has_more: recent.more },
    })
}

async fn summary(store: &Store, practicepass: Option<&PracticePass>) -> control::Result<Summary> {
    let deliveries = async {
        match practicepass {
            Some(practicepass) => store.delivery_counts(practicepass).await,
            None => store.all_delivery_counts().await,
        }
    };
    let (subscriptions, deliveries) = try_join!(store.subscription_counts(practicepass), deliveries)?;
    Ok(Summary {
        total_subscriptions: subscriptions.active + subscriptions.disabled,
        active_subscriptions: subscriptions.active,
        total_deliveries: deliveries.total,
        failed_deliveries: deliveries.failed,
        success_rate: deliveries.success_rate(),
    })
}

async fn queue(app: &App) -> control::Result<QueueFigures> {
    let dead_letters = async { Ok(app.queue.depth(Lane::DeadLetters).await) };
    let (due_retries, oldest, dead_letters) =
        try_join!(app.control.count_due(app.clock.now()), app.control.oldest_open_delivery(), dead_letters)?;
    // The other figures matter most when the queue fails: return them anyway.
    let dead_letters =
        dead_letters.inspect_err(|error| tracing::warn!(%error, "cannot count the dead letters")).ok();
    Ok(QueueFigures {
        due_retries,
        oldest_undelivered_event: oldest.map(UndeliveredEvent::from),
        dead_letters: dead_letters.map(|depth| depth.waiting),
    })
}
