//! The decision whether a caller may do something, and its proof.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::token::Claims;
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
}

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No, wrong or dead credential.
    Unauthenticated,
    /// The credential is for another practice: answered as if there were none.
    OtherPractice,
    /// The key was not granted this scope.
    MissingScope(Scope),
}

/// An authenticated partner.
#[derive(Clone, Debug)]
pub struct Caller {
    pub key_id: KeyId,
    pub key_name: String,
    pub partner_id: PartnerId,
    pub partner: String,
    pub practicepass: PracticePass,
    pub scopes: Vec<Scope>,
    /// Calls a minute.
    pub rate_limit: u32,
    pub key_expires_at: Option<Timestamp>,
}

/// Permission to open one practice's database. Only this module can make one.
#[derive(Clone, Debug)]
pub struct PracticeGrant {
    practicepass: PracticePass,
}

/// Permission to open the catalog: products and knowledge base, the same for all practices. Only this module can make one.
#[derive(Clone, Debug)]
pub struct CatalogGrant(());

impl CatalogGrant {
    /// The permission of migrations and of the local stack.
    pub fn for_operations() -> Self {
        Self(())
    }
}

impl PracticeGrant {
    pub fn practicepass(&self) -> &PracticePass {
        &self.practicepass
    }

    /// The permission of the bundle's own work that serves every practice: the log poller and migrations.
    pub fn for_operations(practicepass: PracticePass) -> Self {
        Self { practicepass }
    }
}

impl KeyRecord {
    /// Whether the key may be used at `now` from `address`.
    pub fn usable(&self, now: Timestamp, address: Option<IpAddr>) -> bool {
        let network_ok = self.allowed_cidrs.is_empty()
            || address.is_some_and(|address| {
                let address = address.to_canonical();
                self.allowed_cidrs.iter().any(|net| net.contains(&address))
            });
        self.status == KeyStatus::Active && self.expires_at.is_none_or(|expiry| now < expiry) && network_ok
    }

    /// The caller behind a token's claims, if its key still stands for them.
    ///
    /// Scopes are those both the token and the key carry, so that a trimmed key takes effect at once.
    pub fn admit(&self, claims: &Claims, now: Timestamp, address: Option<IpAddr>) -> Result<Caller, Denied> {
        let same = self.id == claims.sub
            && self.partner_id == claims.partner
            && self.practicepass == claims.ppass
            && self.version == claims.key_version;
        if !same || !self.usable(now, address) {
            return Err(Denied::Unauthenticated);
        }
        Ok(Caller {
            key_id: self.id.clone(),
            key_name: self.name.clone(),
            partner_id: self.partner_id.clone(),
            partner: self.partner.clone(),
            practicepass: self.practicepass.clone(),
            scopes: self.scopes.iter().copied().filter(|scope| claims.scopes.contains(scope)).collect(),
            rate_limit: self.rate_limit,
            key_expires_at: self.expires_at,
        })
    }
}

impl Caller {
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(Denied::MissingScope(scope)) }
    }

    /// Permission to the practice of the path, for a scope.
    pub fn enter(&self, practicepass: &str, scope: Scope) -> Result<PracticeGrant, Denied> {
        if self.practicepass.as_str() != practicepass {
            return Err(Denied::OtherPractice);
        }
        self.require(scope)?;
        Ok(self.own_practice())
    }

    /// Permission to the catalog, for a scope.
    pub fn enter_catalog(&self, scope: Scope) -> Result<CatalogGrant, Denied> {
        self.require(scope)?;
        Ok(CatalogGrant(()))
    }

    /// Permission to the key's own practice, for what needs no scope of its own.
    pub fn own_practice(&self) -> PracticeGrant {
        PracticeGrant { practicepass: self.practicepass.clone() }
    }
}
