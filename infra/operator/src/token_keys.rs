//! Rotation of the keys that sign tokens.
//!
//! Every process knows a new key before it signs, and an old key verifies until its last token has
//! expired.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use shared::auth::token::{LIFETIME, TokenRing};
use shared::control::secrets::MAX_AGE_IN_AN_OUTAGE;

use crate::error::{Error, Result};
use crate::random;
use crate::{Operator, roll_out};

const LENGTH: usize = 64;

/// The secret's JSON: `active`, the keys at the top level or in `keys`, and the rotation's state.
struct Ring(Map<String, Value>);

impl Operator {
    /// Adds a key, waits until every process can know it, and activates it. The next run finishes
    /// an interrupted one.
    pub async fn rotate_token_key(&self) -> Result<()> {
        let (before, next) = self.let_another_sign().await?;
        println!("{next} signs new tokens within 5 minutes; {before} still verifies older ones.");
        println!("Next: after 25 hours, run this command with --finish.");
        Ok(())
    }

    /// Removes a leaked key immediately, after activating another one if it is the active key.
    pub async fn revoke_token_key(&self, kid: &str) -> Result<()> {
        let mut ring = self.token_keys().await?;
        let kids = ring.kids();
        if !kids.iter().any(|it| it == kid) {
            return Err(Error::Refused(format!("there is no key {kid}; the keys are {}", kids.join(", "))));
        }
        if ring.active()? == kid {
            let (_, next) = self.let_another_sign().await?;
            println!("{next} signs new tokens.");
            ring = self.token_keys().await?;
        }
        ring.remove(kid);
        self.put_token_keys(&ring).await?;
        println!(
            "Removed {kid}. Its tokens are rejected within 5 minutes, or within an hour while Secrets \
                Manager is down."
        );
        println!("Partners that use one get 401 then, and exchange their API keys for new tokens.");
        Ok(())
    }

    /// Activates another key; returns the previous and the new active key.
    async fn let_another_sign(&self) -> Result<(String, String)> {
        let mut ring = self.token_keys().await?;
        let before = ring.active()?;
        let next = if let Some(next) = ring.next() {
            println!("A rotation to {next} was interrupted; continuing it.");
            next
        } else {
            let next = ring.add(&random::alphanumeric(LENGTH)?);
            self.put_token_keys(&ring).await?;
            next
        };
        roll_out(&format!("The key {next} is stored")).await;
        // Read again, so as not to undo what someone else did in the meantime.
        let mut ring = self.token_keys().await?;
        if ring.next().as_deref() != Some(next.as_str()) {
            return Err(Error::Refused(
                "someone else is rotating the token keys at the same time".to_owned(),
            ));
        }
        ring.activate(&next, Timestamp::now())?;
        self.put_token_keys(&ring).await?;
        Ok((before, next))
    }

    /// Removes the keys whose last tokens have expired.
    pub async fn finish_token_keys(&self) -> Result<()> {
        let mut ring = self.token_keys().await?;
        let now = Timestamp::now();
        let noted = ring.note_retirements(now)?;
        let removed = ring.remove_ended(now);
        if noted || !removed.is_empty() {
            self.put_token_keys(&ring).await?;
        }
        for kid in &removed {
            println!("Removed {kid}; its tokens have expired.");
        }
        for (kid, ends) in ring.retired() {
            println!("{kid} still verifies tokens; it can be removed after {}.", ends + still_signs());
        }
        if removed.is_empty() {
            println!("No key was removed.");
        }
        Ok(())
    }

    async fn token_keys(&self) -> Result<Ring> {
        let id = &self.names.token_keys;
        let text =
            self.secrets.get(id).await?.ok_or_else(|| Error::Refused(format!("there is no secret {id}")))?;
        Ring::read(&text)
    }

    async fn put_token_keys(&self, ring: &Ring) -> Result<()> {
        self.secrets.put_rotating(&self.names.token_keys, &ring.text()?, ring.is_rotating()).await
    }
}

/// How long after its retirement a key may have valid tokens: during an outage of Secrets Manager,
/// a process continues to sign with it.
fn still_signs() -> SignedDuration {
    LIFETIME + MAX_AGE_IN_AN_OUTAGE
}

impl Ring {
    fn read(text: &str) -> Result<Self> {
        usable(text)?;
        let map = serde_json::from_str(text).map_err(|error| Error::store("the token keys", error))?;
        Ok(Self(map))
    }

    fn active(&self) -> Result<String> {
        let active = self.0.get("active").and_then(Value::as_str);
        active.map(str::to_owned).ok_or_else(|| Error::Refused("no token key is active".to_owned()))
    }

    /// Returns a key that was added but does not sign yet.
    fn next(&self) -> Option<String> {
        self.0.get("next").and_then(Value::as_str).map(str::to_owned)
    }

    fn kids(&self) -> Vec<String> {
        let beside =
            self.0.keys().filter(|name| !["active", "keys", "next", "retired"].contains(&name.as_str()));
        let within = self.0.get("keys").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        beside.chain(within).cloned().collect()
    }

    /// Returns the retired keys and when each was retired.
    fn retired(&self) -> BTreeMap<String, Timestamp> {
        let retired = self.0.get("retired").cloned().unwrap_or_default();
        serde_json::from_value(retired).unwrap_or_default()
    }

    /// Whether a key waits for its activation or a retired one for its removal.
    fn is_rotating(&self) -> bool {
        self.next().is_some() || !self.retired().is_empty()
    }

    fn retire(&mut self, kid: &str, now: Timestamp) {
        let mut retired = self.retired();
        retired.entry(kid.to_owned()).or_insert(now);
        self.0.insert(
            "retired".to_owned(),
            retired.into_iter().map(|(kid, at)| (kid, at.to_string())).collect(),
        );
    }

    /// Adds a key named `k<n>`, one above the highest number so far.
    fn add(&mut self, key: &str) -> String {
        let numbers = self.kids().into_iter().filter_map(|kid| kid.strip_prefix('k')?.parse::<u64>().ok());
        let kid = format!("k{}", numbers.max().unwrap_or(0) + 1);
        self.0.insert(kid.clone(), key.into());
        self.0.insert("next".to_owned(), kid.clone().into());
        kid
    }

    fn activate(&mut self, kid: &str, now: Timestamp) -> Result<()> {
        let before = self.active()?;
        self.0.insert("active".to_owned(), kid.into());
        self.0.remove("next");
        self.retire(&before, now);
        self.note_retirements(now)?;
        Ok(())
    }

    /// Retires as of now the keys that were retired manually; returns whether there were any.
    fn note_retirements(&mut self, now: Timestamp) -> Result<bool> {
        let (active, next, retired) = (self.active()?, self.next(), self.retired());
        let mut unknown = self.kids();
        unknown.retain(|kid| *kid != active && next.as_ref() != Some(kid) && !retired.contains_key(kid));
        for kid in &unknown {
            self.retire(kid, now);
        }
        Ok(!unknown.is_empty())
    }

    fn remove_ended(&mut self, now: Timestamp) -> Vec<String> {
        let ended: Vec<String> = self
            .retired()
            .iter()
            .filter(|(_, at)| now.duration_since(**at) > still_signs())
            .map(|(kid, _)| kid.clone())
            .collect();
        for kid in &ended {
            self.remove(kid);
        }
        ended
    }

    fn remove(&mut self, kid: &str) {
        self.0.remove(kid);
        for within in ["keys", "retired"] {
            if let Some(within) = self.0.get_mut(within).and_then(Value::as_object_mut) {
                within.remove(kid);
            }
        }
        if self.next().as_deref() == Some(kid) {
            self.0.remove("next");
        }
    }

    /// Serializes the keys; fails if the functions could not read them.
    fn text(&self) -> Result<String> {
        let text = Value::Object(self.0.clone()).to_string();
        usable(&text)?;
        Ok(text)
    }
}

fn usable(text: &str) -> Result<()> {
    TokenRing::from_secret(text, "operations").map(|_| ()).map_err(|error| Error::Refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        "2026-03-09T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
    }

    fn ring() -> Ring {
        Ring::read(&format!(r#"{{"active":"k1","k1":"{}"}}"#, "a".repeat(64))).unwrap()
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_the_old_verifies_for_25_hours() {
        let mut ring = ring();
        assert!(!ring.is_rotating());
        let next = ring.add(&"b".repeat(64));
        assert_eq!((ring.active().unwrap().as_str(), next.as_str()), ("k1", "k2"));
        assert!(ring.is_rotating());
        ring.activate(&next, at(0)).unwrap();
        assert_eq!(ring.active().unwrap(), "k2");
        assert!(ring.remove_ended(at(24)).is_empty(), "a process may have signed with it for another hour");
        assert!(ring.is_rotating());
        assert_eq!(ring.remove_ended(at(26)), ["k1"]);
        assert_eq!(ring.kids(), ["k2"]);
        assert!(!ring.is_rotating());
        ring.text().unwrap();
    }

    #[test]
    fn a_manually_retired_key_verifies_for_25_hours_after_it_is_noticed() {
        let text = format!(r#"{{"active":"k2","k1":"{0}","k2":"{0}"}}"#, "a".repeat(64));
        let mut ring = Ring::read(&text).unwrap();
        assert!(ring.note_retirements(at(0)).unwrap());
        assert!(ring.remove_ended(at(1)).is_empty());
        assert_eq!(ring.remove_ended(at(26)), ["k1"]);
    }

    #[test]
    fn removing_a_leaked_key_leaves_the_other_keys_unchanged() {
        let mut ring = ring();
        let next = ring.add(&"b".repeat(64));
        ring.activate(&next, at(0)).unwrap();
        let waiting = ring.add(&"c".repeat(64));
        for leaked in ["k1", waiting.as_str()] {
            ring.remove(leaked);
        }
        assert_eq!((ring.kids(), ring.next()), (vec![next.clone()], None));
        assert!(ring.retired().is_empty());
        assert_eq!(ring.active().unwrap(), next);
        ring.text().unwrap();
    }

    #[test]
    fn a_pending_signing_key_is_never_removed() {
        let mut ring = ring();
        ring.add(&"b".repeat(64));
        assert!(!ring.note_retirements(at(0)).unwrap());
        assert!(ring.remove_ended(at(1000)).is_empty());
    }
}
