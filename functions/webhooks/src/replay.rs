//! `POST /v1/webhooks/replay`

mod events;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::{
    api::{ApiError, ApiResult, Code, Done, FieldError, JsonAnswer, Message, Once, Partner, Problem, once},
    auth::sha256_hex,
    body,
    control::{self, ephemeral::window_start, queue, subscriptions::Subscription},
    domain::idempotency::RequestKey,
    webhook_operations::{permit_any, require_active},
};
use utoipa::ToSchema;

use crate::{subscriber::Subscriber, subscription::load};

/// The longest period of a replay.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The maximum number of a subscription's replays per hour.
const MOST_IN_AN_HOUR: u64 = 12;
const HOUR_SECONDS: i64 = 3_600;

body! {
    pub struct Replay {
        /// RFC 3339: the start of the period, inclusive.
        #[schema(value_type = String, format = DateTime, example = "2026-03-09T08:00:00Z")]
        "from" => from: Timestamp,
        /// RFC 3339: the end of the period, exclusive; at most 31 days after `from`.
        #[schema(value_type = String, format = DateTime, example = "2026-03-09T14:00:00Z")]
        "to" => to: Timestamp,
    }
}

/// The replay that was started.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replayed {
    /// The value of `replay` in its deliveries.
    replay: String,
    /// RFC 3339.
    from: String,
    /// RFC 3339.
    to: String,
    /// Number of events that are sent.
    #[schema(example = 42)]
    events: usize,
}

/// Replay past events.
///
/// All events of your subscription's scopes that the practice logged in this period are sent to
/// your endpoint, including those that were already delivered and those from before you had a
/// subscription or while it was disabled. Each event keeps its `eventId` and its body, so you can
/// skip the ones you have. Each is a new delivery with its own retries, and its `replay` is the one
/// in this response. Current events are still sent, without delay. A replay can send at most 10,000
/// events from at most 31 days. At most 12 replays per hour are accepted. With an
/// `Idempotency-Key`, repeating the request sends nothing twice. Any webhook event scope allows
/// this; events whose scope none of your valid keys grants are skipped.
#[utoipa::path(
    post,
    path = "/v1/webhooks/replay",
    tag = "Webhooks",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response.")),
    request_body = Replay,
    responses(
        (status = 201, body = Message<Replayed>, description = "The events are in the queue"),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key has no webhook event scope"),
        (status = 404, body = Problem, description = "`NOT_FOUND`: you have no subscription"),
        (status = 409, body = Problem, description = "`SUBSCRIPTION_DISABLED`: sign up again first, \
            `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_SUSPENDED`, `IDEMPOTENCY_IN_PROGRESS`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `REPLAY_TOO_LARGE`: more than 10,000 \
            events; nothing was sent, request a shorter period"),
        (status = 429, body = Problem, description = "`RATE_LIMITED`: more than 12 replays in this hour"),
    ),
)]
pub(crate) async fn replay_events(
    Subscriber(partner): Subscriber,
    Once { body, key }: Once<Replay>,
) -> ApiResult<JsonAnswer> {
    let key = key.of(&partner.caller);
    let work = Box::pin(send(&partner, body, key.clone()));
    once(&partner.app, key, partner.now(), work).await
}

async fn send(partner: &Partner, body: Replay, key: Option<RequestKey>) -> ApiResult<Done> {
    check(&body, partner.now())?;
    let subscription = load(partner).await?;
    require_active(&subscription)?;
    let scopes = permit_any(&partner.app, &subscription).await?;
    // Count the replay before any work: one that is rejected for its size costs as much.
    admit(partner, &subscription).await?;
    let name = name_of(partner, key.as_ref());
    let db = partner.open_own_practice().await?;
    let events = events::read(partner, &db, &scopes, (body.from, body.to)).await?;
    let messages: control::Result<Vec<queue::Message>> = events
        .into_iter()
        .map(|event| queue::Message::of_event(&event.message_for(&subscription, &name), 0))
        .collect();
    let messages = messages?;
    if !partner.app.queue.send(&messages).await?.iter().all(|accepted| *accepted) {
        let reason = "not every message was accepted".to_owned();
        return Err(control::Error::Unavailable { service: "SQS", reason }.into());
    }
    let data = Replayed {
        replay: name,
        from: body.from.to_string(),
        to: body.to.to_string(),
        events: messages.len(),
    };
    let message = "Webhook events are being sent again";
    Ok(Done::Succeeded(JsonAnswer::new(StatusCode::CREATED, &Message { message, data })?))
}

fn check(body: &Replay, now: Timestamp) -> ApiResult<()> {
    let problem = if body.to <= body.from {
        ("body.to", "must be after 'from'")
    } else if body.to.duration_since(body.from) > LONGEST {
        ("body.to", "must be at most 31 days after 'from'")
    } else if now < body.from {
        ("body.from", "must not be in the future")
    } else {
        return Ok(());
    };
    let (location, message) = problem;
    let error = FieldError { location: location.into(), code: "INVALID_VALUE", message: message.into() };
    Err(ApiError::fields(vec![error]))
}

/// Counts the replay; 429 if there were too many in this hour.
async fn admit(partner: &Partner, subscription: &Subscription) -> ApiResult<()> {
    let window = window_start(partner.now(), HOUR_SECONDS);
    let name = format!("replays#{}", subscription.id);
    let count = partner.app.control.add_to_window(&name, window, 1).await?;
    if count <= MOST_IN_AN_HOUR {
        return Ok(());
    }
    let wait = window + HOUR_SECONDS - partner.now().as_second();
    Err(ApiError::new(Code::RateLimited, "A subscription can have 12 replays per hour.").retry_after(wait))
}

/// Returns the replay's name, the same for a repeated request, so that nothing is sent twice.
fn name_of(partner: &Partner, key: Option<&RequestKey>) -> String {
    let origin = match key {
        // With the body: after a day the key may come with another one.
        Some(key) => {
            format!("{} {} {} {}", key.key_id, key.path, key.idempotency_key, key.body_hash).into_bytes()
        }
        None => partner.app.random.bytes::<16>().to_vec(),
    };
    format!("p-{}", &sha256_hex(&origin)[..16])
}
