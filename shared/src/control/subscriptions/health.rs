//! The health of an endpoint and its effects: slow lane, circuit breaker, pace, disabling.
//!
//! It is stored in the subscription, which every batch reads anyway. A healthy endpoint costs one
//! write an hour.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        Error, Result, Store, Table,
        store::{SERVICE, key},
    },
    DISABLED, DisabledReason, LastError, Subscription, pk, sk,
};
use crate::domain::pace::{FURTHEST_MS, LONGEST_HOLD, Pace};

/// How long a circuit is open at first, in seconds; doubled after each failed probe.
const FIRST_OPEN: i64 = 15;
const LONGEST_OPEN: i64 = 600;
/// After this time a probe's process is considered dead; it exceeds an attempt's duration.
const PROBE_LIMIT: SignedDuration = SignedDuration::from_secs(20);
/// The number of consecutive quick responses after which an endpoint leaves the slow lane.
const QUICK_ANSWERS: u32 = 5;
/// The limits on an endpoint's deliveries; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// When a response last exceeded the fast lane's limit; cleared by [`QUICK_ANSWERS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slow_since: Option<Timestamp>,
    /// Consecutive quick responses since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    quick_answers: u32,
    /// The circuit is open until then (Unix milliseconds); afterwards one delivery probes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_seconds: Option<i64>,
    /// A probe is in progress, at most until then (Unix milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe_until: Option<i64>,
    /// Present if the endpoint answered 429.
    #[serde(flatten)]
    pub(super) pace: Option<Pace>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// How an endpoint's deliveries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Immediately.
    Closed,
    /// In the slow lane, where they do not delay other endpoints' deliveries.
    Slow,
    /// Not yet: the circuit is open because the endpoint hung or kept failing.
    Open,
    /// One delivery probes the endpoint; the others wait.
    HalfOpen,
    /// Not yet: the endpoint answered 429.
    Held,
    /// At a limited rate, because the endpoint answered 429.
    Paced,
}

/// The effect of a failed attempt on its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Records the start of the failures.
    Note,
    /// Also opens the circuit, at least for the time that the endpoint requested, if any.
    Open(Option<Duration>),
}

impl Breaker {
    pub fn state(&self, now: Timestamp) -> BreakerState {
        let pace = self.pace(now);
        let held = pace.is_some_and(|it| it.is_held(now));
        let now = now.as_millisecond();
        match (self.open_until, self.probe_until) {
            (None, _) if held => BreakerState::Held,
            (None, _) if pace.is_some() => BreakerState::Paced,
            (None, _) if self.slow_since.is_some() => BreakerState::Slow,
            (None, _) => BreakerState::Closed,
            (Some(until), _) if now < until && until - now <= FURTHEST_MS => BreakerState::Open,
            (Some(_), _) => BreakerState::HalfOpen,
        }
    }

    pub fn is_slow(&self) -> bool {
        self.slow_since.is_some()
    }

    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Whether a probe is in progress.
    pub fn is_probed(&self, now: Timestamp) -> bool {
        let now = now.as_millisecond();
        self.probe_until.is_some_and(|until| now < until && until <= latest_probe(now))
    }

    pub fn slow_since(&self) -> Option<Timestamp> {
        self.slow_since
    }

    /// Returns the pace at which the endpoint is called; `None` without a limit.
    pub fn pace(&self, now: Timestamp) -> Option<&Pace> {
        self.pace.as_ref().filter(|it| it.applies(now))
    }

    /// Returns until when the endpoint must not be called; `None` if it may be called now.
    pub fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.as_millisecond();
        let held = [self.pace.as_ref().map(|it| it.held_until), self.open_until].into_iter().flatten();
        let held = held.filter(|it| now < *it && it - now <= FURTHEST_MS).max();
        held.and_then(|it| Timestamp::from_millisecond(it).ok())
    }

    /// Takes the pace of `known` if it is newer: an earlier series never follows a later one.
    pub fn keep_newer_pace(&mut self, known: &Self) {
        let series = |it: &Self| it.pace.as_ref().map(|pace| (pace.series, pace.held_until, pace.slots));
        if series(self) < series(known) {
            self.pace.clone_from(&known.pace);
        }
    }

    /// Returns when the endpoint may be probed; `None` if its circuit is closed.
    pub fn open_until(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.open_until?).ok()
    }

    /// Opens the circuit. `asked` is the wait that the endpoint requested.
    fn open(&mut self, now: Timestamp, asked: Option<Duration>) {
        let seconds = self.open_seconds.map_or(FIRST_OPEN, |before| (before * 2).min(LONGEST_OPEN));
        let asked = asked.unwrap_or_default().min(LONGEST_HOLD).as_secs();
        let wait = i64::try_from(asked).unwrap_or_default().max(seconds);
        self.open_until = Some(now.as_millisecond() + wait * 1000);
        self.open_seconds = Some(seconds);
        self.probe_until = None;
    }
}

/// Returns the latest end of a probe in progress, in Unix milliseconds, for clocks that differ a
/// little. A later end is from a clock that was ahead.
fn latest_probe(now: i64) -> i64 {
    now.saturating_add(2 * PROBE_LIMIT.as_secs() * 1000)
}

pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn text(instant: Timestamp) -> AttributeValue {
    AttributeValue::S(instant.to_string())
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
