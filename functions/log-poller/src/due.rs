//! Deliveries whose next attempt is due and whose message is not in the queue: long waits, and
//! short ones whose message was lost.

use futures::{StreamExt, future::join_all, stream};
use jiff::{SignedDuration, Timestamp};
use shared::{
    app::App,
    control::{self, deliveries::Delivery, queue::Message},
    domain::delivery::DeliveryStatus,
    telemetry::metrics,
};

/// A short wait ends by its message; only what is overdue by this much has none.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);
/// Should the message be lost, it is sent again after so long.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// From each shard at once.
const LIMIT: i32 = 100;
/// Writes under way at the same time.
const CONCURRENCY: usize = 8;

/// Tells how many attempts are due, and for how long the longest has been.
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

/// Sends a message for each; the claim at the other end makes of two messages one attempt. What
/// fails in one shard holds up no other.
pub(crate) async fn requeue_due(app: &App, until: Timestamp) {
    let shards = (0..app.control.delivery_shards()).map(async |shard| {
        loop {
            match page(app, shard).await {
                Ok(true) if app.clock.now() < until => (),
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, shard, "due deliveries were not brought back");
                    break;
                }
            }
        }
    });
    join_all(shards).await;
}

/// Whether there may be more.
async fn page(app: &App, shard: i64) -> control::Result<bool> {
    let now = app.clock.now();
    let due = app.control.due_deliveries(shard, now - OVERDUE, LIMIT).await?;
    let full = i32::try_from(due.len()).is_ok_and(|len| len >= LIMIT);
    let (manual, due): (Vec<Delivery>, Vec<Delivery>) = due.into_iter().partition(Delivery::is_manual);
    for delivery in manual {
        // Whoever asked for it has been told that something went wrong.
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
