//! The health of an endpoint and its effects: slow lane, circuit breaker, pace, disabling.
//!
//! It is stored in the subscription, which every batch reads anyway. A healthy endpoint costs one
//! write an hour.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;

use super::{
    super::{
        Error, Result, Store, Table,
        attribute::{number, text},
        store::{SERVICE, key},
    },
    DISABLED, DisabledReason, LastError, Subscription,
    breaker::{PROBE_LIMIT, QUICK_ANSWERS, latest_probe},
    pk, sk,
};

/// The effect of a failed attempt on its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Records the start of the failures.
    Note,
    /// Also opens the circuit, at least for the time that the endpoint requested, if any.
    Open(Option<Duration>),
}

impl Store {
    /// Records a failure.
    ///
    /// `subscription` then matches its record, unless that changed since it was read.
    pub async fn note_failure(
        &self,
        subscription: &mut Subscription,
        failed: Failed,
        error: LastError,
    ) -> Result<()> {
        let (before, now) = (subscription.clone(), error.at);
        let since = *subscription.failing_since.get_or_insert(now);
        let seen =
            serde_dynamo::to_attribute_value(&error).map_err(|error| Error::Malformed(error.to_string()))?;
        subscription.last.last_error = Some(error);
        let mut values = vec![(":since", text(since)), (":error", seen)];
        let mut change = "SET failingSince = :since, lastError = :error".to_owned();
        let mut condition = match before.failing_since {
            Some(_) => "failingSince = :since",
            None => "attribute_not_exists(failingSince)",
        }
        .to_owned();
        if let Failed::Open(asked) = failed {
            subscription.breaker.open(now, asked);
            change.push_str(", openUntil = :until, openSeconds = :seconds REMOVE probeUntil");
            values.push((":until", number(subscription.breaker.open_until.unwrap_or_default())));
            values.push((":seconds", number(subscription.breaker.open_seconds.unwrap_or_default())));
            match before.breaker.open_until {
                Some(seen) => {
                    condition.push_str(" AND openUntil = :seen");
                    values.push((":seen", number(seen)));
                }
                None => condition.push_str(" AND attribute_not_exists(openUntil)"),
            }
        }
        self.change_subscription(&before, &change, &condition, values).await.map(drop)
    }

    /// Records a success after failures, which closes the circuit.
    pub async fn note_success(&self, subscription: &mut Subscription, now: Timestamp) -> Result<()> {
        let change = "SET lastSuccessAt = :now REMOVE failingSince, openUntil, openSeconds, probeUntil";
        let condition = "(attribute_exists(failingSince) OR attribute_exists(openUntil))";
        self.change_subscription(subscription, change, condition, [(":now", text(now))]).await?;
        subscription.last.last_success_at = Some(now);
        subscription.failing_since = None;
        let breaker = &mut subscription.breaker;
        (breaker.open_until, breaker.open_seconds, breaker.probe_until) = (None, None, None);
        Ok(())
    }

    /// Records whether a slow endpoint responded quickly.
    ///
    /// [`QUICK_ANSWERS`] in a row move it to the fast lane, so an endpoint with occasional cold
    /// starts does not change lanes each time. Of concurrent responses only one is counted.
    pub async fn note_speed(
        &self,
        subscription: &mut Subscription,
        quick: bool,
        now: Timestamp,
    ) -> Result<()> {
        let seen = subscription.breaker.quick_answers;
        let count = if quick { seen + 1 } else { 0 };
        if count == seen {
            return Ok(());
        }
        let mut values = vec![];
        let condition = if seen == 0 {
            "attribute_exists(slowSince) AND attribute_not_exists(quickAnswers)"
        } else {
            values.push((":seen", number(seen.into())));
            "quickAnswers = :seen"
        };
        let change = if count >= QUICK_ANSWERS {
            "REMOVE slowSince, quickAnswers"
        } else if count == 0 {
            "REMOVE quickAnswers"
        } else {
            values.push((":count", number(count.into())));
            "SET quickAnswers = :count"
        };
        if self.change_subscription(subscription, change, condition, values).await? {
            let breaker = &mut subscription.breaker;
            breaker.quick_answers = count % QUICK_ANSWERS;
            if count >= QUICK_ANSWERS {
                tracing::info!(subscriptionId = subscription.id.0, %now, "left the slow lane");
                breaker.slow_since = None;
            }
        }
        Ok(())
    }

    /// Records that the endpoint took longer than the fast lane allows.
    pub async fn note_slow(&self, subscription: &mut Subscription, now: Timestamp) -> Result<()> {
        let change = "SET slowSince = if_not_exists(slowSince, :now) REMOVE quickAnswers";
        self.change_subscription(subscription, change, "attribute_exists(pk)", [(":now", text(now))]).await?;
        subscription.breaker.slow_since.get_or_insert(now);
        subscription.breaker.quick_answers = 0;
        Ok(())
    }

    /// Claims the probe of an endpoint whose wait is over; `false` if another process has it.
    pub async fn take_probe(&self, subscription: &mut Subscription, now: Timestamp) -> Result<bool> {
        let Some(seen) = subscription.breaker.open_until else { return Ok(false) };
        let until = now.as_millisecond() + PROBE_LIMIT.as_secs() * 1000;
        let now = now.as_millisecond();
        let values = [
            (":seen", number(seen)),
            (":until", number(until)),
            (":now", number(now)),
            (":latest", number(latest_probe(now))),
        ];
        let condition = "openUntil = :seen AND (attribute_not_exists(probeUntil) OR probeUntil <= :now OR \
            probeUntil > :latest)";
        let taken =
            self.change_subscription(subscription, "SET probeUntil = :until", condition, values).await?;
        subscription.breaker.probe_until = Some(until);
        Ok(taken)
    }

    /// Disables an active subscription.
    ///
    /// Does nothing if its URL was changed or it was deleted meanwhile or, for
    /// [`DisabledReason::OnlyFailures`], if it has had a success since it was read.
    pub async fn disable_subscription(
        &self,
        subscription: &Subscription,
        reason: DisabledReason,
        now: Timestamp,
    ) -> Result<()> {
        let reason_text: AttributeValue =
            serde_dynamo::to_attribute_value(reason).map_err(|error| Error::Malformed(error.to_string()))?;
        let mut values = vec![
            (":disabled", AttributeValue::S("disabled".to_owned())),
            (":reason", reason_text),
            (":now", text(now)),
            (":list", AttributeValue::S(DISABLED.to_owned())),
        ];
        let mut condition = "attribute_exists(pk)";
        if let (DisabledReason::OnlyFailures, Some(since)) = (reason, subscription.failing_since) {
            condition = "failingSince = :since";
            values.push((":since", text(since)));
        }
        let change = "SET #status = :disabled, disabledReason = :reason, disabledAt = :now, updatedAt = \
            :now, gsi1pk = :list REMOVE failingSince, openUntil, openSeconds, probeUntil, slowSince, \
            quickAnswers, paceSeries, pacedSince, heldUntil, paceBase, paceLimit, paceSlots, paceNext, \
            paceStrikes";
        self.change_subscription(subscription, change, condition, values).await.map(drop)
    }

    /// Applies `change` if the active generation and its URL are unchanged and `condition` holds.
    ///
    /// Returns whether it was applied.
    pub(super) async fn change_subscription(
        &self,
        subscription: &Subscription,
        change: &str,
        condition: &str,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<bool> {
        let mut update = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), sk(&subscription.partner_id))))
            .update_expression(format!("{change} ADD version :one"))
            .condition_expression(format!(
                "generation = :generation AND #status = :active AND hookUrl = :url AND {condition}"
            ))
            .return_values(ReturnValue::AllNew)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":url", AttributeValue::S(subscription.hook_url.as_str().to_owned()))
            .expression_attribute_values(
                ":generation",
                AttributeValue::N(subscription.generation.to_string()),
            );
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        match update.send().await.map_err(|error| Error::from_sdk(SERVICE, &error)) {
            Ok(changed) => {
                self.list_held_back(changed.attributes).await;
                Ok(true)
            }
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
