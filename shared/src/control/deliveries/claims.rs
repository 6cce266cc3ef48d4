//! Who attempts a delivery: one process at a time, each attempt once.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Error, Result, Store, Table,
        store::{SERVICE, pk},
    },
    Delivery,
};

/// Longer than an attempt takes; a process that died loses its claim after it.
const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// What became of the wish to attempt a delivery.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// It is the caller's to attempt and to conclude.
    Yes(Box<Delivery>),
    /// This attempt has been made, or none is wanted any more.
    Done(Option<Box<Delivery>>),
    /// Another process is at it.
    Busy,
}

impl Store {
    /// Claims the first attempt of a delivery that need not exist yet.
    pub async fn claim_first(&self, mut delivery: Delivery, now: Timestamp) -> Result<Claimed> {
        delivery.claimed_until = Some(until(now));
        if delivery.is_by_hand() {
            // Nothing but this would bring it to an end if its process died.
            delivery.next_attempt_at = now.checked_add(CLAIMED_FOR).ok();
        }
        match self.put_new(Table::Deliveries, delivery.item()?).await {
            Ok(()) => Ok(Claimed::Yes(Box::new(delivery))),
            Err(Error::ConditionFailed) => self.claim_again(&delivery.key, 1, now).await,
            Err(error) => Err(error),
        }
    }

    /// Claims attempt number `attempt` of a delivery that exists.
    pub async fn claim_again(&self, key: &str, attempt: u32, now: Timestamp) -> Result<Claimed> {
        let Some(mut delivery) = self.delivery(key).await? else { return Ok(Claimed::Done(None)) };
        if !delivery.status.is_open() || delivery.attempts + 1 != attempt {
            return Ok(Claimed::Done(Some(Box::new(delivery))));
        }
        let before = delivery.claimed_until;
        if before.is_some_and(|until| now.as_millisecond() < until) {
            return Ok(Claimed::Busy);
        }
        delivery.claimed_until = Some(until(now));
        let mut update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Deliveries)?)
            .set_key(Some(pk(key)))
            .update_expression("SET claimedUntil = :until")
            .expression_attribute_values(":until", AttributeValue::N(until(now).to_string()))
            .expression_attribute_values(":attempts", AttributeValue::N(delivery.attempts.to_string()));
        update = match before {
            Some(before) => update
                .condition_expression("attempts = :attempts AND claimedUntil = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string())),
            None => {
                update.condition_expression("attempts = :attempts AND attribute_not_exists(claimedUntil)")
            }
        };
        match update.send().await.map_err(|error| Error::from_sdk(SERVICE, &error)) {
            Ok(_) => Ok(Claimed::Yes(Box::new(delivery))),
            Err(Error::ConditionFailed) => Ok(Claimed::Busy),
            Err(error) => Err(error),
        }
    }
}

fn until(now: Timestamp) -> i64 {
    now.as_millisecond().saturating_add(CLAIMED_FOR.as_secs() * 1000)
}
