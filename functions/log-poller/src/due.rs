//! Due deliveries without a message in the queue.
//!
//! These are deliveries with long waits, and those with short waits whose message was lost.

use futures::{StreamExt, future::join_all, stream};
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    control::{self, deliveries::Delivery, queue::Message},
    domain::delivery::{DeliveryStatus, furthest_ahead},
    telemetry::metrics,
};

/// How long a delivery must be overdue: a short wait normally ends by its message.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);
/// How long a sent delivery is postponed; if its message is lost, it is sent again then.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// The maximum number of deliveries per query of a shard.
const LIMIT: i32 = 100;
/// The number of concurrent writes.
const CONCURRENCY: usize = 8;

/// Logs the number of due attempts, and how long the oldest has been due.
pub(crate) async fn measure(app: &App) {
    let now = app.clock.now();
    let measured = async {
        let oldest = app.control.oldest_due(now).await?;
        Ok::<_, control::Error>((app.control.count_due(now).await?, oldest))
    };
    match measured.await {
        Ok((count, oldest)) => tracing::info!(
            target: metrics::POLLS,
            DueRetries = count,
            OldestDueSeconds = oldest.map_or(0, |it| now.duration_since(it).as_secs()),
            "due"
        ),
        Err(error) => tracing::error!(%error, "due deliveries were not counted"),
    }
}

/// Deliveries whose next attempt needs a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Overdue,
    /// Due later than a clock that is right schedules. They would wait until that time comes.
    TooFarAhead,
}

impl Due {
    async fn page(self, app: &App, shard: i64, now: Timestamp) -> control::Result<Vec<Delivery>> {
        match self {
            Self::Overdue => app.control.due_deliveries(shard, now - OVERDUE, LIMIT).await,
            Self::TooFarAhead => {
                let ahead = furthest_ahead(&app.config.webhook_retries);
                let after = now.saturating_add(ahead).unwrap_or(Timestamp::MAX);
                app.control.deliveries_due_after(shard, after, LIMIT).await
            }
        }
    }
}

/// Sends a message for each such delivery. A failure in one shard does not affect the others.
///
/// If a delivery has two messages, claims ensure that only one attempt is made.
pub(crate) async fn requeue(app: &App, due: Due, until: Timestamp) {
    let shards = (0..app.control.delivery_shards()).map(async |shard| {
        loop {
            match requeue_page(app, due, shard).await {
                Ok(true) if app.clock.now() < until => (),
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, shard, ?due, "deliveries were not sent again");
                    break;
                }
            }
        }
    });
    join_all(shards).await;
}

/// Processes one page of a shard; returns whether there may be more.
async fn requeue_page(app: &App, due: Due, shard: i64) -> control::Result<bool> {
    let now = app.clock.now();
    let due = due.page(app, shard, now).await?;
    let full = i32::try_from(due.len()).is_ok_and(|len| len >= LIMIT);
    let (manual, due): (Vec<Delivery>, Vec<Delivery>) = due.into_iter().partition(Delivery::is_manual);
    for delivery in manual {
        // The process of a manual delivery died, and its caller already received an error.
        app.control.give_up_delivery(&delivery.key, DeliveryStatus::Failed, now).await?;
    }
    let (messages, due): (Vec<Message>, Vec<Delivery>) =
        due.into_iter().filter_map(|delivery| Some((message_of(&delivery)?, delivery))).unzip();
    let accepted = app.queue.send(&messages).await?;
    let sent = due.iter().zip(&accepted).filter(|(_, accepted)| **accepted).map(|(delivery, _)| delivery);
    let put_off = sent.map(|delivery| app.control.put_off(delivery, now + AGAIN_AFTER));
    let results: Vec<_> = stream::iter(put_off).buffer_unordered(CONCURRENCY).collect().await;
    results.into_iter().collect::<control::Result<()>>()?;
    Ok(full && accepted.iter().all(|it| *it))
}

fn message_of(delivery: &Delivery) -> Option<Message> {
    Message::of_event(&delivery.next_message()?, 0).ok()
}
