//! Removes a practice.

use std::time::Duration;

use jiff::Timestamp;
use shared::auth::{KeyRecord, KeyStatus};
use shared::control::{self, Store};
use shared::domain::PracticePass;

use crate::access::{commit, record, revoke_key};
use crate::error::{Error, Result};
use crate::{Operator, refused};

/// Keys per read.
const PAGE: usize = 500;
/// How long the poller may still use deleted subscriptions: it lists them every few seconds and
/// finishes its current poll.
const UNTIL_UNPOLLED: Duration = Duration::from_secs(15);

/// The numbers of records that were removed with a practice.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub keys: usize,
    pub subscriptions: usize,
}

impl Operator {
    /// Removes a practice that has no live key. Its database and its records are kept.
    ///
    /// # Errors
    /// If a key is live, the practice is attached to its EMR, or nothing of such a practice exists.
    /// The next run finishes an interrupted one.
    pub async fn remove_practice(&self, practice: &str) -> Result<()> {
        let refuse = |reason: &str| Error::Refused(format!("{practice}: {reason}"));
        let practicepass = PracticePass::try_from(practice).map_err(refuse)?;
        let entry = self.control.practice(&practicepass).await.map_err(|error| refused(&error))?;
        if entry.is_some() {
            self.require_detached(practice).await?;
        }
        let removed = remove_practice(&self.control, &practicepass, UNTIL_UNPOLLED, Timestamp::now()).await?;
        println!(
            "{practice} is removed: deleted {} subscriptions and the poller's state, revoked {} expired \
                keys.",
            removed.subscriptions, removed.keys
        );
        let secret = match entry.map(|it| String::from(it.dsn_secret)) {
            Some(secret) => secret,
            None => self.secret_of(&practicepass),
        };
        println!(
            "Kept: its database; its connection string, in the secret {secret}; its revoked keys; its call \
                records,"
        );
        println!("deliveries and audit records. `add-practice` adds it again with that database.");
        Ok(())
    }
}

impl Operator {
    /// Refuses an attached practice: its triggers would stay on the EMR's tables, and no command
    /// would reach them anymore. A database that does not respond is no reason to keep a practice.
    async fn require_detached(&self, practice: &str) -> Result<()> {
        match self.bridge_of(practice).await {
            Ok(None) => Ok(()),
            Ok(Some(bridge)) => Err(Error::Refused(format!(
                "{practice} is attached to its EMR by {bridge}; detach it first with `detach-practice \
                {practice}`"
            ))),
            Err(error) => {
                println!("Whether {practice} is attached to an EMR is unknown: {error}");
                Ok(())
            }
        }
    }
}

/// Implements [`Operator::remove_practice`] at the time `now`.
///
/// Waits `until_unpolled` for the poller after deleting subscriptions.
pub async fn remove_practice(
    control: &Store,
    practicepass: &PracticePass,
    until_unpolled: Duration,
    now: Timestamp,
) -> Result<Removed> {
    let keys = active_keys(control, practicepass).await?;
    let live: Vec<&KeyRecord> = keys.iter().filter(|it| it.expires_at.is_none_or(|end| end > now)).collect();
    if !live.is_empty() {
        let lines = live.iter().map(|it| format!("\n  {} {:?} of {}", it.id, it.name, it.partner));
        let list: String = lines.collect();
        return Err(Error::Refused(format!(
            "{practicepass} has {} live keys; revoke each of them first with `revoke-key`:{list}",
            live.len()
        )));
    }
    let is_registered = control.practice(practicepass).await.map_err(|error| refused(&error))?.is_some();
    if is_registered {
        control.note_removal(practicepass, now).await.map_err(|error| refused(&error))?;
        let audit = record("practices.remove", practicepass.as_str(), now)?;
        match commit(control, control.remove_practice_write(practicepass), &audit).await {
            // `ConditionFailed`: another operator removed it in the meantime.
            Ok(()) | Err(control::Error::ConditionFailed) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    // From here on no key can be created for it; revoke those created in the meantime.
    let mut removed = Removed::default();
    for key in active_keys(control, practicepass).await? {
        revoke_key(control, &key.id.0, now).await?;
        removed.keys += 1;
    }
    for subscription in control.subscriptions_of(practicepass).await.map_err(|error| refused(&error))? {
        let deleted = control.delete_subscription(&subscription).await.map_err(|error| refused(&error))?;
        removed.subscriptions += usize::from(deleted);
    }
    if removed.subscriptions > 0 {
        println!("Waiting {} s for the poller to release it …", until_unpolled.as_secs());
        tokio::time::sleep(until_unpolled).await;
    }
    let was_polled = control.forget_dispatch(practicepass).await.map_err(|error| refused(&error))?;
    if !is_registered && !was_polled && removed == Removed::default() {
        return Err(Error::Refused(format!("{practicepass} isn't registered")));
    }
    Ok(removed)
}

/// Returns the practice's keys that aren't revoked.
async fn active_keys(control: &Store, practicepass: &PracticePass) -> Result<Vec<KeyRecord>> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = control.api_keys(None, PAGE, after.as_ref()).await.map_err(|error| refused(&error))?;
        let of_practice = |it: &KeyRecord| it.practicepass == *practicepass && it.status == KeyStatus::Active;
        keys.extend(page.items.into_iter().filter(of_practice));
        after = page.next;
        if after.is_none() {
            return Ok(keys);
        }
    }
}
