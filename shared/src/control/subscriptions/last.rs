//! The results of an endpoint's latest attempts, for its partner and administrators.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        Error, Result, Store, Table,
        attribute::{number, text},
        store::{SERVICE, key},
    },
    Subscription, pk, sk,
};

/// The minimum time between writes of an endpoint's last success.
///
/// Each writes the subscription and two indexes. Most subscriptions get an event every few minutes,
/// so with a minute nearly every delivery would pay for it.
const SUCCESS_STEP: SignedDuration = SignedDuration::from_hours(1);

/// The results of the latest attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastOutcomes {
    /// Up to an hour behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// Up to some seconds behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

impl LastOutcomes {
    /// Whether a success at `now` should be written.
    pub fn is_success_due(&self, now: Timestamp) -> bool {
        // A time that is far ahead is from a clock that was ahead.
        self.last_success_at.is_none_or(|last| now.duration_since(last).abs() >= SUCCESS_STEP)
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// RFC 3339.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Null if there was no response.
    pub status_code: Option<u16>,
    pub message: Option<String>,
}

impl Store {
    /// Records the time of a success. Not versioned: any other change may overwrite it.
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
}
