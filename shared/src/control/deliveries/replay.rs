//! Events of the past once more.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    super::{
        Error, Queue, Result, Store, Table, instant,
        queue::Message,
        store::{SERVICE, from_items},
    },
    Delivery,
};
use crate::control::subscriptions::Subscription;

/// So many are read and sent at once.
const PAGE: i32 = 250;

impl Store {
    /// Sends the events of a subscription whose deliveries began in `from..to` once more, those that succeeded only if `all`;
    /// how many. Each gets a new delivery with the whole schedule, under the same event id. `replay` names the repetition: run
    /// again under the same name, it sends nothing twice.
    ///
    /// # Errors
    /// Also when the queue doesn't take a message; then the same replay can be run again.
    pub async fn replay(
        &self,
        queue: &Queue,
        subscription: &Subscription,
        (from, to): (Timestamp, Timestamp),
        all: bool,
        replay: &str,
    ) -> Result<usize> {
        let (mut sent, mut start) = (0, None);
        loop {
            let page = self
                .client()
                .query()
                .table_name(self.name(Table::Deliveries)?)
                .index_name("bySubscription")
                .key_condition_expression(
                    "subscriptionId = :subscription AND createdAt BETWEEN :from AND :to",
                )
                .expression_attribute_values(":subscription", AttributeValue::N(subscription.id.to_string()))
                .expression_attribute_values(":from", AttributeValue::S(instant::text(from)))
                .expression_attribute_values(":to", AttributeValue::S(instant::text(to)))
                .limit(PAGE)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk(SERVICE, &error))?;
            let deliveries: Vec<Delivery> = from_items(page.items)?;
            let wanted = deliveries.iter().filter(|it| {
                let original = !it.is_by_hand() && it.replay.is_none() && it.created_at < to;
                let ended = if it.succeeded() { all } else { !it.status.is_open() };
                original && ended && it.generation == subscription.generation
            });
            let messages = wanted.filter_map(|it| {
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
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(sent);
            }
        }
    }
}
