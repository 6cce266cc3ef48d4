//! The pace of an endpoint that answered 429, shared by all processes.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    super::{
        Error, Result, Store, Table,
        attribute::{number, text},
        store::{SERVICE, key},
    },
    LastError, Subscription, pk, sk,
};
use crate::domain::pace::{Pace, Slot};

/// How often taking slots is tried if other processes take some at the same time.
const MAX_CONFLICT_RETRIES: u32 = 10;
/// The wait before each further try grows by this.
const BACKOFF: Duration = Duration::from_millis(15);

/// The minimum extension of a hold, in ms: concurrently rejected calls should not all write.
const TOLERANCE_MS: i64 = 1_000;

/// The result of taking slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slots {
    /// At least one slot, earliest first.
    Taken(Vec<Slot>),
    /// No slot is free within the next ten minutes.
    Full,
    /// The endpoint is no longer paced, or the subscription was deleted.
    NotPaced,
}

impl Store {
    /// Records a 429: holds the endpoint and lowers its rate.
    ///
    /// `slot` is that of the call, if it had one; `asked` is the wait that the endpoint requested.
    /// Only the first rejection of a series lowers the rate. Afterwards `subscription` matches its
    /// record.
    pub async fn note_rejection(
        &self,
        subscription: &mut Subscription,
        slot: Option<&Slot>,
        asked: Option<Duration>,
        error: LastError,
    ) -> Result<()> {
        let now = error.at;
        let before = subscription.breaker.pace.clone();
        let pace = Pace::after_rejection(before.as_ref(), slot, asked, now);
        let seen =
            serde_dynamo::to_attribute_value(&error).map_err(|error| Error::Malformed(error.to_string()))?;
        let first = match (&before, slot) {
            (Some(before), Some(slot)) => before.series == slot.series,
            (Some(before), None) => !before.applies(now),
            (None, _) => true,
        };
        let noted = if first {
            let change = "SET failingSince = if_not_exists(failingSince, :now), lastError = :error, \
                          paceSeries = :series, pacedSince = :since, heldUntil = :held, paceBase = :base, \
                          paceLimit = :limit, paceSlots = :slots, paceNext = :next, paceStrikes = :strikes";
            let mut values = vec![(":error", seen), (":now", text(now))];
            values.extend(attributes(&pace));
            let condition = match &before {
                Some(before) => {
                    values.push((":seen", number(before.series)));
                    "paceSeries = :seen"
                }
                None => "attribute_not_exists(paceSeries)",
            };
            self.change_subscription(subscription, change, condition, values).await?
        } else {
            false
        };
        self.refresh(subscription).await?;
        let known = subscription.breaker.pace.as_ref().map(|it| it.held_until);
        if noted || known.is_none_or(|known| pace.held_until <= known + TOLERANCE_MS) {
            return Ok(());
        }
        // Another call of the same series was rejected first, with a shorter requested wait.
        let values = [(":held", number(pace.held_until))];
        self.change_subscription(subscription, "SET heldUntil = :held", "heldUntil < :held", values).await?;
        self.refresh(subscription).await
    }

    /// Takes `count` slots of a paced endpoint, or fewer if the line is nearly full.
    ///
    /// Afterwards `subscription` matches its record.
    ///
    /// # Errors
    /// Also if too many processes take slots at the same time.
    pub async fn take_slots(
        &self,
        subscription: &mut Subscription,
        count: usize,
        now: Timestamp,
    ) -> Result<Slots> {
        for attempt in 0..MAX_CONFLICT_RETRIES {
            let Some(before) = subscription.breaker.pace(now).cloned() else { return Ok(Slots::NotPaced) };
            let mut pace = before.clone();
            let taken = pace.take(count, now);
            if taken.is_empty() {
                return Ok(Slots::Full);
            }
            if self.move_line(subscription, &before, &pace).await? {
                subscription.breaker.pace = Some(pace);
                return Ok(Slots::Taken(taken));
            }
            tokio::time::sleep(BACKOFF * attempt).await;
            self.refresh(subscription).await?;
        }
        let reason = "too many processes took slots of one endpoint at the same time".to_owned();
        Err(Error::Unavailable { service: SERVICE, reason })
    }

    /// Removes the pace, if it is still of the slot's series.
    pub async fn lift_pace(&self, subscription: &mut Subscription, slot: &Slot) -> Result<()> {
        let change =
            "REMOVE paceSeries, pacedSince, heldUntil, paceBase, paceLimit, paceSlots, paceNext, paceStrikes";
        let values = [(":seen", number(slot.series))];
        if self.change_subscription(subscription, change, "paceSeries = :seen", values).await? {
            subscription.breaker.pace = None;
        }
        Ok(())
    }

    /// Stores the taken slots; `false` if another process has taken slots meanwhile.
    ///
    /// Not versioned: any other change of the record may overwrite it.
    async fn move_line(&self, subscription: &Subscription, before: &Pace, after: &Pace) -> Result<bool> {
        let moved = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), sk(&subscription.partner_id))))
            .update_expression("SET paceNext = :next, paceSlots = :slots")
            .condition_expression(
                "generation = :generation AND paceSeries = :series AND paceNext = :seen AND paceSlots = \
                    :before",
            )
            .expression_attribute_values(":next", number(after.next))
            .expression_attribute_values(":slots", number(after.slots))
            .expression_attribute_values(":generation", number(subscription.generation))
            .expression_attribute_values(":series", number(before.series))
            .expression_attribute_values(":seen", number(before.next))
            .expression_attribute_values(":before", number(before.slots))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match moved {
            Ok(_) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads the circuit breaker again, unless the subscription has a new generation.
    async fn refresh(&self, subscription: &mut Subscription) -> Result<()> {
        let found = self.subscription(&subscription.practicepass, &subscription.partner_id).await?;
        match found.filter(|it| it.generation == subscription.generation) {
            Some(found) => {
                subscription.breaker = found.breaker;
                subscription.failing_since = found.failing_since;
                subscription.last = found.last;
            }
            None => subscription.breaker.pace = None,
        }
        Ok(())
    }
}

fn attributes(pace: &Pace) -> [(&'static str, AttributeValue); 8] {
    [
        (":series", number(pace.series)),
        (":since", number(pace.since)),
        (":held", number(pace.held_until)),
        (":base", number(pace.base)),
        (":limit", number(pace.limit)),
        (":slots", number(pace.slots)),
        (":next", number(pace.next)),
        (":strikes", number(pace.strikes.into())),
    ]
}
