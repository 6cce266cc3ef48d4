//! API keys as they are stored, without the key itself.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Caller, Denied, api_key::ApiKey, claims::Claims, equal_in_constant_time};
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

/// A secret that a rotation replaced, for as long as it remains valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousSecret {
    /// The SHA-256 of the secret in hexadecimal.
    pub secret_hash: String,
    pub version: i64,
    /// When the secret, and the tokens for which it was exchanged, become invalid.
    pub until: Timestamp,
}

/// The maximum number of a key's rotations that are recorded.
pub const MOST_ROTATIONS: usize = 20;

/// The stored record of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    pub id: KeyId,
    pub name: String,
    pub partner_id: PartnerId,
    /// The partner's company, stored here so that a call needs no second lookup.
    pub partner: String,
    pub practicepass: PracticePass,
    pub scopes: Vec<Scope>,
    /// The part of the key that can be shown: `op_live_<keyId>`.
    pub prefix: String,
    /// The SHA-256 of the secret in hexadecimal.
    pub secret_hash: String,
    pub status: KeyStatus,
    /// Raised by every rotation.
    ///
    /// Tokens of older versions are invalid, except those of `previous` until it expires.
    pub version: i64,
    /// The secret that the last rotation replaced, if it was to remain valid for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The networks from which the key can be used; empty for any.
    #[serde(default)]
    pub allowed_cidrs: Vec<IpNet>,
    /// Calls per minute.
    pub rate_limit: u32,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Raised by every change that an administrator makes.
    #[serde(default)]
    pub revision: i64,
    /// When each of the key's terms was last changed, by the name that the audit log uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed_at: BTreeMap<String, Timestamp>,
    /// When the secret was replaced, newest first; at most [`MOST_ROTATIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<Timestamp>,
    /// When the partner was last suspended; stored with the partner.
    ///
    /// Portal sessions that began at or before this time have ended.
    #[serde(skip)]
    pub partner_suspended_at: Option<Timestamp>,
}

/// The terms for which a key is created.
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

/// Converts an IPv6 network of IPv4-mapped addresses to the IPv4 network that it contains.
///
/// `::ffff:10.0.0.0/104` becomes `10.0.0.0/8`. Callers' addresses are compared in the same form.
/// Any other network is returned as it is.
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

    /// Revokes the key permanently, including a previous secret that is still valid.
    pub fn revoke(&mut self) {
        self.status = KeyStatus::Revoked;
        self.previous = None;
    }

    /// Whether a suspension of the partner ended the portal session that began at `at`.
    ///
    /// Reactivating the partner does not restore the session.
    pub fn is_ended_by_suspension(&self, at: Timestamp) -> bool {
        self.partner_suspended_at.is_some_and(|suspended| at <= suspended)
    }

    /// Replaces the key's secret; the old one remains valid until `old_until`.
    ///
    /// A secret that an earlier rotation left becomes invalid at once: at most two secrets are
    /// valid.
    pub fn rotate(&mut self, new: &ApiKey, old_until: Option<Timestamp>, now: Timestamp) {
        self.rotations.insert(0, now);
        self.rotations.truncate(MOST_ROTATIONS);
        let secret_hash = std::mem::replace(&mut self.secret_hash, new.secret_hash());
        let version = self.version;
        self.previous = old_until.map(|until| PreviousSecret { secret_hash, version, until });
        self.version += 1;
    }

    /// Whether the key can be used at `now` from `address`.
    pub fn usable(&self, now: Timestamp, address: Option<IpAddr>) -> bool {
        let network_ok = self.allowed_cidrs.is_empty()
            || address.is_some_and(|address| {
                let address = address.to_canonical();
                self.allowed_cidrs.iter().any(|net| canonical_network(*net).contains(&address))
            });
        self.status == KeyStatus::Active && self.expires_at.is_none_or(|expiry| now < expiry) && network_ok
    }

    /// Returns the key with the version of the offered secret; `None` if the secret is not valid.
    ///
    /// The current secret is valid, and so is the previous one until it expires. The comparison
    /// takes constant time.
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

    /// Whether tokens and sessions of this version of the secret are still valid.
    fn honors(&self, version: i64, now: Timestamp) -> bool {
        let left = |it: &PreviousSecret| it.version == version && now < it.until;
        self.version == version || self.previous.as_ref().is_some_and(left)
    }

    /// Returns the caller of a token with these claims, if the key still permits them.
    ///
    /// The scopes are those that both the token and the key have, so that removing one from the key
    /// takes effect at once.
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

    /// Returns the caller who presented this version of the secret, with the key's current scopes.
    pub fn admit_version(
        &self,
        version: i64,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Caller, Denied> {
        if !self.honors(version, now) || !self.usable(now, address) {
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
