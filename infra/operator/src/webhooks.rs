//! Redrives dead letters and replays past events.

use jiff::Timestamp;
use shared::auth::PartnerAccess;
use shared::control::subscriptions::Subscription;
use shared::domain::PracticePass;
use shared::domain::delivery::WithheldReason;

use crate::error::{Error, Result};
use crate::random;
use crate::{Operator, refused};

/// Returns a unique name for a replay: the current second and a random number.
///
/// # Errors
/// If the system provides no random numbers.
pub fn new_name() -> Result<String> {
    let random = random::alphanumeric(6).map_err(|error| Error::Refused(error.to_string()))?;
    Ok(format!("{}-{random}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")))
}

/// Fails with the API's error code and reason if the subscription accepts no event.
pub fn replayable(
    subscription: &Subscription,
    access: &PartnerAccess,
    now: Timestamp,
) -> std::result::Result<(), String> {
    let mut reason = None;
    for scope in &subscription.scopes {
        match subscription.permit(access, Some(*scope), now) {
            Ok(_) => return Ok(()),
            Err(why) => reason = Some(why),
        }
    }
    let reason = reason.unwrap_or(WithheldReason::ScopeNotGranted);
    let code = if reason == WithheldReason::SubscriptionPaused {
        "SUBSCRIPTION_PAUSED"
    } else {
        "SUBSCRIPTION_SUSPENDED"
    };
    Err(format!("{code}, {reason}"))
}

impl Operator {
    /// Moves dead letters back to the event queue; returns their number.
    pub async fn redrive(&self) -> Result<usize> {
        self.queue.redrive().await.map_err(|error| refused(&error))
    }

    /// Sends past events again to one active subscription of a practice, or to all of them.
    ///
    /// Returns the number of events sent. `name` identifies the replay, so that it can be resumed.
    pub async fn replay(
        &self,
        practice: &str,
        subscription: Option<i64>,
        time: (Timestamp, Timestamp),
        all: bool,
        name: &str,
    ) -> Result<usize> {
        let practicepass = PracticePass::try_from(practice)
            .map_err(|reason| Error::Refused(format!("{practice}: {reason}")))?;
        let mut subscriptions =
            self.control.subscriptions_of(&practicepass).await.map_err(|error| refused(&error))?;
        subscriptions.retain(|it| it.is_active() && subscription.is_none_or(|wanted| it.id.0 == wanted));
        if subscriptions.is_empty() {
            let which = subscription.map_or_else(String::new, |id| format!(" {id}"));
            return Err(Error::Refused(format!("{practice} has no active subscription{which}")));
        }
        let now = Timestamp::now();
        let mut refusals = Vec::new();
        let mut permitted = Vec::new();
        for found in subscriptions {
            let access = self.control.partner_access(&practicepass, &found.partner_id).await;
            let access = access.map_err(|error| refused(&error))?;
            match replayable(&found, &access, now) {
                Ok(()) => permitted.push(found),
                Err(reason) => refusals.push(format!("subscription {}: {reason}", found.id)),
            }
        }
        if permitted.is_empty() {
            return Err(Error::Refused(format!("nothing was sent\n{}", refusals.join("\n"))));
        }
        for refusal in refusals {
            println!("{refusal}; skipped");
        }
        let mut sent = 0;
        for found in &permitted {
            let replayed = self.control.replay(&self.queue, found, time, all, name).await;
            sent += replayed.map_err(|error| refused(&error))?;
        }
        Ok(sent)
    }
}
