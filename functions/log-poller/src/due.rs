//! Deliveries whose next attempt is due and whose message is not in the queue: long waits, and short ones whose message
//! was lost.

use jiff::SignedDuration;
use shared::{
    app::App,
    control::{
        self,
        deliveries::{Delivery, SHARDS},
        queue::Message,
    },
    domain::webhook_event::EventMessage,
};

/// A short wait ends by its message; only what is overdue by this much has none.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);
/// Should the message be lost, it is sent again after so long.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// From each shard in one poll.
const LIMIT: i32 = 100;

/// Sends a message for each; the claim at the other end makes of two messages one attempt.
pub(crate) async fn bring_back(app: &App) -> control::Result<()> {
    for shard in 0..SHARDS {
        let now = app.clock.now();
        let due = app.control.due_deliveries(shard, now - OVERDUE, LIMIT).await?;
        let (messages, deliveries): (Vec<Message>, Vec<Delivery>) =
            due.into_iter().filter_map(|delivery| Some((message_of(&delivery)?, delivery))).unzip();
        let accepted = app.queue.send(&messages).await?;
        for (delivery, accepted) in deliveries.iter().zip(accepted) {
            if accepted {
                app.control.put_off(delivery, now + AGAIN_AFTER).await?;
            }
        }
    }
    Ok(())
}

/// The message of the delivery's next attempt; `None` for what is no event, which never waits.
fn message_of(delivery: &Delivery) -> Option<Message> {
    let message = EventMessage::new(
        delivery.payload.event()?,
        delivery.subscription_id,
        delivery.generation,
        delivery.partner_id.clone(),
        delivery.attempts + 1,
    );
    Message::of_event(&message, 0).ok()
}
