//! Past events, read from the practice's log.
//!
//! Deliveries are not sufficient: they are stored for only 30 days, and events that were sent to
//! nobody have none.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use shared::{
    api::{ApiError, ApiResult, Code, Partner},
    control::subscriptions::Subscription,
    domain::{
        EventScope, RequestId,
        ids::LogId,
        log_progress::LogProgress,
        webhook_event::{EventMessage, WebhookEvent, classify},
    },
    tenant::{
        TenantDb,
        log::{self, LogRow},
    },
};

/// The maximum number of events in a replay.
const MOST: usize = 10_000;
/// Rows read at once.
const ROWS: i64 = 1_000;
/// How far ids may deviate from time: a session may use the ids of its block hours later.
const SLACK: SignedDuration = SignedDuration::from_hours(24);
/// The time after which reading stops: the call would not finish in time.
const LIMIT: Duration = Duration::from_secs(12);

/// An event, with the request id of the call that caused it.
pub(super) struct PastEvent {
    event: WebhookEvent,
    request_id: Option<RequestId>,
}

impl PastEvent {
    pub(super) fn message_for(self, subscription: &Subscription, replay: &str) -> EventMessage {
        let (id, generation, partner) =
            (subscription.id, subscription.generation, subscription.partner_id.clone());
        let mut message = EventMessage::new(self.event, id, generation, partner, 1);
        message.replay = Some(replay.to_owned());
        message.request_id = self.request_id;
        message
    }
}

/// Returns the events of these scopes that were logged in `from..to`, lowest id first.
///
/// # Errors
/// 422 if there are too many.
pub(super) async fn read(
    partner: &Partner,
    db: &TenantDb,
    scopes: &[EventScope],
    (from, to): (Timestamp, Timestamp),
) -> ApiResult<Vec<PastEvent>> {
    let began = Instant::now();
    let states = partner.app.control.dispatch_states(Some(db.practicepass())).await?;
    let progress = states.into_iter().next().map(|state| state.progress);
    let mut conn = db.connection().await?;
    let before = |at: Timestamp| at.saturating_sub(SLACK).unwrap_or(at);
    let after = |at: Timestamp| at.saturating_add(SLACK).unwrap_or(at);
    let mut first = log::first_since(&mut conn, before(from)).await?;
    let last = LogId(log::first_since(&mut conn, after(to)).await?.0.saturating_sub(1));
    let mut events = Vec::new();
    while first <= last {
        let rows = log::logged_between(&mut conn, (first, last), (from, to), ROWS).await?;
        let more = i64::try_from(rows.len()).is_ok_and(|read| read == ROWS);
        let Some(highest) = rows.last().map(|row| row.log_id) else { break };
        events.extend(rows.iter().filter_map(|row| event_of(row, db, scopes, progress.as_ref())));
        if events.len() > MOST || (more && began.elapsed() > LIMIT) {
            let detail = "A replay sends at most 10,000 events. Nothing was sent; request a shorter period.";
            return Err(ApiError::new(Code::ReplayTooLarge, detail));
        }
        if !more {
            break;
        }
        first = LogId(highest.0.saturating_add(1));
    }
    Ok(events)
}

fn event_of(
    row: &LogRow,
    db: &TenantDb,
    scopes: &[EventScope],
    progress: Option<&LogProgress>,
) -> Option<PastEvent> {
    let entry = row.entry.as_ref()?;
    let (event, action) = classify(&entry.table_name, &entry.action)?;
    let occurred_at = entry.logged_at?;
    scopes.contains(&event).then(|| PastEvent {
        event: WebhookEvent {
            practicepass: db.practicepass().clone(),
            log_id: row.log_id,
            epoch: progress.map_or(0, |progress| epoch_of(row.log_id, occurred_at, progress)),
            event,
            action,
            record_id: entry.record_id,
            occurred_at,
        },
        request_id: row.request_id.clone(),
    })
}

/// Returns the epoch under which the poller has sent the row.
fn epoch_of(id: LogId, logged_at: Timestamp, progress: &LogProgress) -> u32 {
    let earlier = id <= progress.epoch_floor && progress.epoch_since.is_some_and(|since| logged_at < since);
    progress.epoch.saturating_sub(u32::from(earlier))
}
