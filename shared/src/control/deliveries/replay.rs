//! Replays of past events.

use jiff::Timestamp;

use super::{
    super::{Error, Queue, Result, Store, queue::Message},
    source::{OutcomeFilter, Source},
};
use crate::{control::subscriptions::Subscription, domain::delivery::WithheldReason};

impl Store {
    /// Sends the events of past deliveries of a subscription again; returns their number.
    ///
    /// Includes deliveries created in `from..to`, successful ones only if `all`.
    ///
    /// Each event gets a new delivery with the whole schedule, under the same event id. `replay`
    /// names the replay: running it again under the same name sends nothing twice.
    ///
    /// # Errors
    /// Also if the queue does not accept a message. The same replay can then be run again.
    pub async fn replay(
        &self,
        queue: &Queue,
        subscription: &Subscription,
        (from, to): (Timestamp, Timestamp),
        all: bool,
        replay: &str,
    ) -> Result<usize> {
        let filter = if all { OutcomeFilter::All } else { OutcomeFilter::Failed };
        let mut sent = 0;
        for mut source in Source::of_partner(&subscription.practicepass, &subscription.partner_id, filter) {
            while let Some(deliveries) = self.read_back(&mut source, from).await? {
                let filter = deliveries.iter().filter(|it| {
                    let original = !it.is_manual() && it.replay.is_none() && it.created_at < to;
                    // One that waits for access to return is sent by itself.
                    let ended = !it.awaits_attempt();
                    let delivered = it.withheld == Some(WithheldReason::DeliveredByRetry);
                    let own =
                        it.subscription_id == subscription.id && it.generation == subscription.generation;
                    original && ended && own && (all || !delivered)
                });
                let messages = filter.filter_map(|it| {
                    let mut message = it.next_message()?.again(1);
                    message.replay = Some(replay.to_owned());
                    Some(Message::of_event(&message, 0))
                });
                let messages: Vec<Message> = messages.collect::<Result<_>>()?;
                if !queue.send(&messages).await?.iter().all(|accepted| *accepted) {
                    let reason = "not every message was accepted".to_owned();
                    return Err(Error::Unavailable { service: "SQS", reason });
                }
                sent += messages.len();
            }
        }
        Ok(sent)
    }
}
