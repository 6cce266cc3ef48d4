//! How an endpoint has been doing, and what follows: slow lane, parking, the end of the subscription.
//!
//! All of it lies on the subscription, which every batch reads anyway. An endpoint that does well costs no write.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        Error, Result, Store, Table,
        store::{SERVICE, key},
    },
    DISABLED, DisabledReason, Subscription, pk, sk,
};

/// An endpoint is parked for so long at first, then twice as long after each probe that fails.
const FIRST_PARKED: i64 = 15;
const LONGEST_PARKED: i64 = 600;
/// A probe that has not ended by then died with its process; longer than an attempt takes.
const PROBE_LIMIT: SignedDuration = SignedDuration::from_secs(20);
/// That an endpoint does well is written at most so often.
const SUCCESS_STEP: SignedDuration = SignedDuration::from_mins(1);

/// What the newest attempts came to, for administrators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastOutcomes {
    /// Up to a minute behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// Up to some seconds behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

impl LastOutcomes {
    /// Whether a success at `now` should be written.
    pub fn is_success_due(&self, now: Timestamp) -> bool {
        self.last_success_at.is_none_or(|last| now.duration_since(last) >= SUCCESS_STEP)
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// RFC 3339.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Null when there was no answer.
    pub status_code: Option<u16>,
    pub message: Option<String>,
}

/// What is held back of an endpoint's deliveries; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// It didn't answer in the time of the fast lane; ended by a quick answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slow_since: Option<Timestamp>,
    /// Nobody calls it until then (Unix milliseconds); after that one delivery probes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parked_until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parked_seconds: Option<i64>,
    /// A probe is under way until then at the latest (Unix milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe_until: Option<i64>,
}

/// How an endpoint's deliveries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BreakerState {
    /// At once.
    Closed,
    /// In a lane of their own, where they hold up no other endpoint's.
    Slow,
    /// Not before a time: the endpoint hung or only failed.
    Parked,
    /// One delivery tries whether the endpoint works again, the others wait.
    Probing,
    /// The next delivery is such a trial.
    Due,
}

/// What a failed attempt does to its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is noted since when nothing but failures came.
    Note,
    /// As well, and the endpoint is parked.
    Park,
}

impl Breaker {
    pub fn state(&self, now: Timestamp) -> BreakerState {
        let now = now.as_millisecond();
        match (self.parked_until, self.probe_until) {
            (None, _) if self.slow_since.is_some() => BreakerState::Slow,
            (None, _) => BreakerState::Closed,
            (Some(until), _) if now < until => BreakerState::Parked,
            (Some(_), Some(until)) if now < until => BreakerState::Probing,
            (Some(_), _) => BreakerState::Due,
        }
    }

    pub fn is_slow(&self) -> bool {
        self.slow_since.is_some()
    }

    pub fn is_parked(&self) -> bool {
        self.parked_until.is_some()
    }

    pub fn slow_since(&self) -> Option<Timestamp> {
        self.slow_since
    }

    /// When the endpoint may be tried again; `None` when it is not parked.
    pub fn parked_until(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.parked_until?).ok()
    }

    fn park(&mut self, now: Timestamp) {
        let seconds = self.parked_seconds.map_or(FIRST_PARKED, |before| (before * 2).min(LONGEST_PARKED));
        self.parked_until = Some(now.as_millisecond() + seconds * 1000);
        self.parked_seconds = Some(seconds);
        self.probe_until = None;
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(instant: Timestamp) -> AttributeValue {
    AttributeValue::S(instant.to_string())
}

impl Store {
    /// Takes up a failure. `subscription` becomes what the record is now, unless that had changed since it was read.
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
        if failed == Failed::Park {
            subscription.breaker.park(now);
            change.push_str(", parkedUntil = :until, parkedSeconds = :seconds REMOVE probeUntil");
            values.push((":until", number(subscription.breaker.parked_until.unwrap_or_default())));
            values.push((":seconds", number(subscription.breaker.parked_seconds.unwrap_or_default())));
            match before.breaker.parked_until {
                Some(seen) => {
                    condition.push_str(" AND parkedUntil = :seen");
                    values.push((":seen", number(seen)));
                }
                None => condition.push_str(" AND attribute_not_exists(parkedUntil)"),
            }
        }
        self.change_subscription(&before, &change, &condition, values).await.map(drop)
    }

    /// Notes a success after failures, or after slowness if it was quick: nothing is held back any more.
    pub async fn note_success(
        &self,
        subscription: &mut Subscription,
        quick: bool,
        now: Timestamp,
    ) -> Result<()> {
        let slow = if quick { ", slowSince" } else { "" };
        let change = format!(
            "SET lastSuccessAt = :now REMOVE failingSince, parkedUntil, parkedSeconds, probeUntil{slow}"
        );
        let condition = "(attribute_exists(failingSince) OR attribute_exists(parkedUntil) OR \
                         attribute_exists(slowSince))";
        self.change_subscription(subscription, &change, condition, [(":now", text(now))]).await?;
        subscription.last.last_success_at = Some(now);
        let slow_since = subscription.breaker.slow_since.filter(|_| !quick);
        subscription.failing_since = None;
        subscription.breaker = Breaker { slow_since, ..Breaker::default() };
        Ok(())
    }

    /// Notes that the endpoint still does well. No version: whatever else changes the record may write over it.
    pub async fn touch_success(&self, subscription: &mut Subscription, now: Timestamp) -> Result<()> {
        subscription.last.last_success_at = Some(now);
        let touched = self
            .client()
            .update_item()
            .table_name(self.name(Table::Control)?)
            .set_key(Some(key(pk(&subscription.practicepass), sk(&subscription.partner_id))))
            .update_expression("SET lastSuccessAt = :now")
            .condition_expression("generation = :generation")
            .expression_attribute_values(":now", text(now))
            .expression_attribute_values(":generation", number(subscription.generation))
            .send()
            .await
            .map_err(|error| Error::from_sdk(SERVICE, &error));
        match touched {
            Ok(_) | Err(Error::ConditionFailed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes that the endpoint didn't answer in the time of the fast lane. A probe of it has not ended by that.
    pub async fn note_slow(&self, subscription: &mut Subscription, now: Timestamp) -> Result<()> {
        let change = "SET slowSince = if_not_exists(slowSince, :now) REMOVE probeUntil";
        self.change_subscription(subscription, change, "attribute_exists(pk)", [(":now", text(now))]).await?;
        subscription.breaker.slow_since.get_or_insert(now);
        subscription.breaker.probe_until = None;
        Ok(())
    }

    /// Asks to be the one that probes a parked endpoint whose time has come. `false`: another is.
    pub async fn take_probe(&self, subscription: &mut Subscription, now: Timestamp) -> Result<bool> {
        let Some(seen) = subscription.breaker.parked_until else { return Ok(false) };
        let until = now.as_millisecond() + PROBE_LIMIT.as_secs() * 1000;
        let values =
            [(":seen", number(seen)), (":until", number(until)), (":now", number(now.as_millisecond()))];
        let condition = "parkedUntil = :seen AND (attribute_not_exists(probeUntil) OR probeUntil <= :now)";
        let taken =
            self.change_subscription(subscription, "SET probeUntil = :until", condition, values).await?;
        subscription.breaker.probe_until = Some(until);
        Ok(taken)
    }

    /// Stops an active subscription. Does nothing to one that was changed to another or deleted meanwhile, nor for
    /// [`DisabledReason::OnlyFailures`] to one that has had a success since it was read.
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
        let change = "SET #status = :disabled, disabledReason = :reason, disabledAt = :now, updatedAt = :now, \
                      gsi1pk = :list REMOVE failingSince, parkedUntil, parkedSeconds, probeUntil, slowSince";
        self.change_subscription(subscription, change, condition, values).await.map(drop)
    }

    /// Applies `change` to the active subscription of this incarnation and endpoint if it also meets `condition`; whether it
    /// did.
    async fn change_subscription(
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
            Ok(_) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
