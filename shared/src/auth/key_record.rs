//! API keys as stored: never the key itself.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Caller, Denied, api_key::ApiKey, equal_in_constant_time, token::Claims};
use crate::domain::{
    PracticePass, Scope,
    ids::{KeyId, PartnerId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    Active,
    Revoked,
}

/// The secret that a rotation replaced, for as long as it is still good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousSecret {
    /// SHA-256 of the secret part, hexadecimal.
    pub secret_hash: String,
    pub version: i64,
    /// The secret and the tokens it was exchanged for are dead from here on.
    pub until: Timestamp,
}

/// Rotations of a key that are kept.
pub const MOST_ROTATIONS: usize = 20;

/// What is stored of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    pub id: KeyId,
    pub name: String,
    pub partner_id: PartnerId,
    /// The partner's company, kept here so that a call needs no second look-up.
    pub partner: String,
    pub practicepass: PracticePass,
    pub scopes: Vec<Scope>,
    /// What may be shown of the key: `op_live_<keyId>`.
    pub prefix: String,
    /// SHA-256 of the secret part, hexadecimal.
    pub secret_hash: String,
    pub status: KeyStatus,
    /// Raised by every rotation; tokens of an older version are dead.
    pub version: i64,
    /// What the last rotation replaced, if it was to live on for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Networks the key may be used from; empty = any.
    #[serde(default)]
    pub allowed_cidrs: Vec<IpNet>,
    /// Calls a minute.
    pub rate_limit: u32,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Raised by every change of an administrator's.
    #[serde(default)]
    pub revision: i64,
    /// When each of its terms was last changed, by the names that the audit log uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed_at: BTreeMap<String, Timestamp>,
    /// When its secret was replaced, the newest first, [`MOST_ROTATIONS`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Timestamp>,
    /// When its partner was last suspended. Stored with the partner. Portal sessions begun until then have ended.
    #[serde(skip)]
    pub partner_suspended_at: Option<Timestamp>,
}

/// What a key is made for.
#[derive(Clone, Debug)]
pub struct KeyTerms {
    pub name: String,
    pub partner_id: PartnerId,
    pub partner: String,
    pub practicepass: PracticePass,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    pub allowed_cidrs: Vec<IpNet>,
    pub rate_limit: u32,
}

/// The network as its addresses are seen: an IPv6 network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) is the IPv4
/// network inside.
pub fn canonical_network(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) if network.prefix_len() >= 96 => {
            network.network().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96))
        }
        _ => None,
    };
    mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

impl KeyRecord {
    pub fn new(key: &ApiKey, terms: KeyTerms, now: Timestamp) -> Self {
        Self {
            id: key.id.clone(),
            name: terms.name,
            partner_id: terms.partner_id,
            partner: terms.partner,
            practicepass: terms.practicepass,
            scopes: terms.scopes,
            prefix: key.visible_prefix(),
            secret_hash: key.secret_hash(),
            status: KeyStatus::Active,
            version: 1,
            previous: None,
            expires_at: terms.expires_at,
            allowed_cidrs: terms.allowed_cidrs,
            rate_limit: terms.rate_limit,
            created_at: now,
            last_used_at: None,
            revision: 1,
            changed_at: BTreeMap::new(),
            rotations: Vec::new(),
            partner_suspended_at: None,
        }
    }

    /// Ends the key for good, with the secret that an overlap had left.
    pub fn revoke(&mut self) {
        self.status = KeyStatus::Revoked;
        self.previous = None;
    }

    /// Whether a suspension of the partner ended the portal session begun at `at`. Reinstating the partner does not revive it.
    pub fn is_ended_by_suspension(&self, at: Timestamp) -> bool {
        self.partner_suspended_at.is_some_and(|suspended| at <= suspended)
    }

    /// Gives the key a new secret; the old one stays good until `old_until`. One that an earlier rotation had left is dead
    /// at once: two secrets are good at most.
    pub fn rotate(&mut self, new: &ApiKey, old_until: Option<Timestamp>, now: Timestamp) {
        self.rotations.insert(0, now);
        self.rotations.truncate(MOST_ROTATIONS);
        let secret_hash = std::mem::replace(&mut self.secret_hash, new.secret_hash());
        let version = self.version;
        self.previous = old_until.map(|until| PreviousSecret { secret_hash, version, until });
        self.version += 1;
    }

    /// Whether the key may be used at `now` from `address`.
    pub fn usable(&self, now: Timestamp, address: Option<IpAddr>) -> bool {
        let network_ok = self.allowed_cidrs.is_empty()
            || address.is_some_and(|address| {
                let address = address.to_canonical();
                self.allowed_cidrs.iter().any(|net| canonical_network(*net).contains(&address))
            });
        self.status == KeyStatus::Active && self.expires_at.is_none_or(|expiry| now < expiry) && network_ok
    }

    /// The key as the holder of `offered` has it: with the version of that secret. `None` when the secret is neither the
    /// current one nor the one before it in the time it was left; how long that takes tells nothing.
    pub fn unlocked_by(&self, offered: &ApiKey, now: Timestamp) -> Option<Self> {
        let hash = offered.secret_hash();
        let same = |stored: &str| equal_in_constant_time(hash.as_bytes(), stored.as_bytes());
        let current = same(&self.secret_hash);
        let previous = self.previous.as_ref().filter(|it| same(&it.secret_hash) && now < it.until);
        match previous {
            _ if current => Some(self.clone()),
            Some(previous) => Some(Self { version: previous.version, ..self.clone() }),
            None => None,
        }
    }

    /// Whether what was given out for this version of the secret is still good.
    fn honours(&self, version: i64, now: Timestamp) -> bool {
        let left = |it: &PreviousSecret| it.version == version && now < it.until;
        self.version == version || self.previous.as_ref().is_some_and(left)
    }

    /// The caller behind a token's claims, if its key still stands for them.
    ///
    /// Scopes are those both the token and the key carry, so that a trimmed key takes effect at once.
    pub fn admit(&self, claims: &Claims, now: Timestamp, address: Option<IpAddr>) -> Result<Caller, Denied> {
        let same =
            self.id == claims.sub && self.partner_id == claims.partner && self.practicepass == claims.ppass;
        if !same {
            return Err(Denied::Unauthenticated);
        }
        let mut caller = self.admit_version(claims.key_version, now, address)?;
        caller.scopes.retain(|scope| claims.scopes.contains(scope));
        Ok(caller)
    }

    /// The caller who showed the secret of this version, with all that the key may do now.
    pub fn admit_version(
        &self,
        version: i64,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Caller, Denied> {
        if !self.honours(version, now) || !self.usable(now, address) {
            return Err(Denied::Unauthenticated);
        }
        Ok(Caller {
            key_id: self.id.clone(),
            key_name: self.name.clone(),
            partner_id: self.partner_id.clone(),
            partner: self.partner.clone(),
            practicepass: self.practicepass.clone(),
            scopes: self.scopes.clone(),
            rate_limit: self.rate_limit,
            key_expires_at: self.expires_at,
        })
    }
}
