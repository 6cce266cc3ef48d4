//! `POST /v1/webhooks/signup`

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{
        ApiError, ApiResult, FieldError, IDEMPOTENCY_TTL, JsonAnswer, Message, Once, Partner, Problem,
        Reading,
    },
    auth::webhook_signature::SigningSecret,
    body,
    control::{
        self,
        subscriptions::{Breaker, LastOutcomes, Subscription, SubscriptionState, SubscriptionStatus},
    },
    domain::{
        EventScope,
        idempotency::RequestKey,
        ids::{LogId, SubscriptionId},
        log_progress::GRACE,
    },
    egress::HookUrl,
    retry_on_conflict,
    tenant::log,
    text_field,
    webhook_operations::drain_in_flight,
};
use utoipa::ToSchema;

use crate::hook_url::{check, hook_url_refused};

/// How many ids below the newest event are always searched for events in flight.
///
/// `RANGES` is the maximum number of ranges of missing ids that are stored.
const WINDOW: i64 = 1_000;
const RANGES: usize = 200;

text_field! {
    /// An https URL with a public address.
    HookUrlText, 1, 2048
}

body! {
    pub struct SignUp {
        /// The URL of your endpoint: https, port 443, a public address, no user name or password.
        #[schema(example = "https://partner.example.com/officepro/webhooks")]
        "hookUrl" => hook_url: HookUrlText,
        /// The scopes of the events to receive. Your key must grant each of them.
        #[schema(min_items = 1)]
        "scopes" => scopes: Vec<EventScope>,
    }
}

/// The subscription after signing up.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedUp {
    id: SubscriptionId,
    hook_url: String,
    scopes: Vec<EventScope>,
    /// `active`, or `paused` if an administrator paused the subscription.
    status: SubscriptionState,
    /// The secret that verifies signatures. Returned only when the subscription is new: store it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// Create or update your webhook subscription.
///
/// You have one subscription for your key's practice. Signing up again changes its URL and scopes,
/// and activates it if it was disabled; its secret stays the same.
///
/// Events that happen from now on are sent by POST to `hookUrl`, signed as specified by Standard
/// Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`), with `X-OfficePro-Event`,
/// `X-OfficePro-Event-Id` and `X-OfficePro-Delivery-Id`. The body contains ids only: `eventId`,
/// `event`, `action`, `practicepass`, `logId`, `recordId` and `occurredAt`; also `recordIdString`
/// if `recordId` is beyond 2^53 - 1, where JSON readers may round it. `eventId` is
/// `{PPass}-{logId}`. If the practice's database is restored and assigns ids again, bodies also
/// contain `logEpoch`, and `eventId` is `{PPass}-{logEpoch}.{logId}`. Compare events only by
/// `eventId`.
///
/// Respond with a 2xx status within 15 seconds. An event may arrive more than once, always with the
/// same `eventId`. After any other status, a redirect, a failed connection or a time-out, the event
/// is retried after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. Exceptions: a 410 disables the
/// subscription; a 429 means that you cannot keep up, so your deliveries wait as long as its
/// `Retry-After` requests, 12 hours at most. They then continue at a rate that your endpoint
/// accepts, and no attempt is used up. A 503 with `Retry-After` also makes them wait, but counts as
/// a failed attempt.
#[utoipa::path(
    post,
    path = "/v1/webhooks/signup",
    tag = "Webhooks",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response.")),
    // The required scope depends on the body.
    security(("accessToken" = []), ("portalSession" = [])),
    request_body = SignUp,
    responses(
        (status = 201, body = Message<SignedUp>, description = "Created; `data.secret` is shown only once"),
        (status = 200, body = Message<SignedUp>, description = "Updated"),
        (status = 403, body = Problem,
            description = "`INSUFFICIENT_SCOPE`: your key does not grant one of the scopes"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
        (status = 422, body = Problem,
            description = "`INVALID_FIELDS`, `HOOK_URL_REFUSED`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn sign_up(
    partner: Partner,
    Once { body, key }: Once<Reading<SignUp>>,
) -> ApiResult<JsonAnswer> {
    let key = key.of(&partner.caller);
    retry_on_conflict!(partner.app, "Read your subscription again.", || {
        if let Some(answer) = stored_response(&partner, key.as_ref()).await? {
            return Ok(Some(answer));
        }
        let request = SignupRequest::read(&partner, &body).await?;
        match write(&partner, request, key.as_ref()).await {
            Err(Failed::Overtaken) => Ok(None),
            Err(Failed::Api(error)) => Err(error),
            Ok(answer) => Ok(Some(answer)),
        }
    })
}

async fn stored_response(partner: &Partner, key: Option<&RequestKey>) -> ApiResult<Option<JsonAnswer>> {
    let Some(key) = key else { return Ok(None) };
    let stored = partner.app.control.stored_response(key, partner.now()).await?;
    stored.map(|stored| JsonAnswer::replay(key, stored)).transpose()
}

/// The validated request.
struct SignupRequest {
    hook_url: HookUrl,
    scopes: Vec<EventScope>,
    start: Start,
}

/// The position from which a new subscription receives events.
struct Start {
    /// The practice's newest event.
    newest: LogId,
    /// Ranges of lower ids whose transactions may still be open.
    in_flight: Vec<(LogId, LogId)>,
    at: Timestamp,
    epoch: u32,
}

impl SignupRequest {
    async fn read(partner: &Partner, body: &Reading<SignUp>) -> ApiResult<Self> {
        let mut errors = Vec::new();
        let mut scopes: Vec<EventScope> = Vec::new();
        let wanted = body.peek::<Vec<EventScope>>("scopes");
        for scope in wanted.iter().flatten() {
            partner.caller.require(scope.required())?;
            if !scopes.contains(scope) {
                scopes.push(*scope);
            }
        }
        if wanted.is_some_and(|it| it.is_empty()) {
            errors.push(FieldError {
                location: "body.scopes".into(),
                code: "TOO_SHORT",
                message: "must contain at least one scope".into(),
            });
        }
        let hook_url = match body.peek::<HookUrlText>("hookUrl") {
            Some(text) => check(&partner.app.hooks, &text.0).await.map(Some),
            None => Ok(None),
        };
        let refused_alone = errors.is_empty() && body.is_readable();
        let hook_url = match hook_url {
            Err(refused) if refused_alone => return Err(hook_url_refused(refused)),
            Err(refused) => {
                errors.push(refused);
                None
            }
            Ok(url) => url,
        };
        body.validate(errors)?;
        let hook_url = hook_url.ok_or_else(ApiError::not_found)?;
        let epoch = partner.app.control.log_epoch(&partner.caller.practicepass).await?;
        let db = partner.open_own_practice().await?;
        let mut conn = db.connection().await?;
        let at = partner.now();
        let newest = log::highest(&mut conn).await?;
        // Read after the newest id: events committed between the two reads precede the sign-up.
        let in_flight = log::missing_below(&mut conn, newest, at - GRACE, WINDOW, RANGES).await?;
        Ok(Self { hook_url, scopes, start: Start { newest, in_flight, at, epoch } })
    }
}

enum Failed {
    /// Another request wrote between our read and our write.
    Overtaken,
    Api(ApiError),
}

impl<E: Into<ApiError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Api(error.into())
    }
}

async fn write(
    partner: &Partner,
    request: SignupRequest,
    key: Option<&RequestKey>,
) -> Result<JsonAnswer, Failed> {
    let (control, caller) = (&partner.app.control, &partner.caller);
    let before = control.subscription(&caller.practicepass, &caller.partner_id).await?;
    let (status, message) = match &before {
        Some(_) => (StatusCode::OK, "Webhook subscription updated successfully"),
        None => (StatusCode::CREATED, "Webhook subscription created successfully"),
    };
    let new = before.is_none();
    let was_active = before.as_ref().is_some_and(Subscription::is_active);
    let moved = before.as_ref().is_some_and(|before| before.hook_url != request.hook_url);
    let subscription = match before {
        Some(before) => update(before, request, partner),
        None => create(request, partner).await?,
    };
    let data = SignedUp {
        id: subscription.id,
        hook_url: subscription.hook_url.as_str().to_owned(),
        scopes: subscription.scopes.clone(),
        // The caller's key grants all of the scopes.
        status: subscription.shown_status(&[]),
        secret: new.then(|| subscription.secret.reveal().to_owned()),
    };
    let answer = JsonAnswer::new(status, &Message { message, data })?;
    let keep = key.map(|key| {
        let now = partner.now();
        control.stored_response_write(key, answer.status, &answer.body, now, now + IDEMPOTENCY_TTL)
    });
    if new {
        control.remember_subscription_id(&subscription).await?;
    }
    let keep = keep.transpose()?;
    let saved = if was_active {
        control.update_subscription(&subscription, keep).await
    } else {
        control.save_subscription(&subscription, keep).await
    };
    match saved {
        Ok(()) if moved => {
            drain_in_flight(&partner.app).await;
            Ok(answer)
        }
        Ok(()) => Ok(answer),
        Err(control::Error::ConditionFailed) => Err(Failed::Overtaken),
        Err(error) => Err(error.into()),
    }
}

async fn create(request: SignupRequest, partner: &Partner) -> control::Result<Subscription> {
    let (control, caller) = (&partner.app.control, &partner.caller);
    let generation = control.next_subscription_id().await?;
    // A subscription created after a deletion reuses the id, so that all deliveries are in one
    // list.
    let known = control.subscription_id(&caller.practicepass, &caller.partner_id).await?;
    let now = partner.now();
    Ok(Subscription {
        id: known.unwrap_or(generation),
        generation: generation.0,
        partner_id: caller.partner_id.clone(),
        practicepass: caller.practicepass.clone(),
        hook_url: request.hook_url,
        scopes: request.scopes,
        status: SubscriptionStatus::Active,
        disabled_reason: None,
        disabled_at: None,
        paused_at: None,
        secret: SigningSecret::from_random(&partner.app.random.bytes()),
        old_secrets: Vec::new(),
        start_after_log_id: request.start.newest,
        in_flight: request.start.in_flight,
        started_at: request.start.at,
        start_epoch: request.start.epoch,
        failing_since: None,
        breaker: Breaker::default(),
        last: LastOutcomes::default(),
        created_at: now,
        updated_at: now,
        version: 1,
    })
}

/// Updates a subscription, except its secret and an administrator's pause.
///
/// A disabled subscription starts over: events from the time when it was disabled are not sent.
fn update(mut subscription: Subscription, request: SignupRequest, partner: &Partner) -> Subscription {
    if !subscription.is_active() {
        subscription.start_after_log_id = request.start.newest;
        subscription.in_flight = request.start.in_flight;
        subscription.started_at = request.start.at;
        subscription.start_epoch = request.start.epoch;
    }
    if subscription.hook_url != request.hook_url {
        subscription.last = LastOutcomes::default();
    }
    subscription.hook_url = request.hook_url;
    subscription.scopes = request.scopes;
    subscription.status = SubscriptionStatus::Active;
    subscription.disabled_reason = None;
    subscription.disabled_at = None;
    subscription.failing_since = None;
    subscription.breaker = Breaker::default();
    subscription.updated_at = partner.now();
    subscription.version += 1;
    subscription
}
