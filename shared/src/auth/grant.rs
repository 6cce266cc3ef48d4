//! Authorization decisions, and the grants that prove them.

use jiff::Timestamp;

use crate::domain::{
    PracticePass, Scope,
    ids::{KeyId, PartnerId},
};

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The credential is missing, wrong, expired or revoked.
    Unauthenticated,
    /// The credential is for another practice; the response is as if the practice did not exist.
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
    /// Calls per minute.
    pub rate_limit: u32,
    pub key_expires_at: Option<Timestamp>,
}

/// Permission to open one practice's database. Only this module can create one.
#[derive(Clone, Debug)]
pub struct PracticeGrant {
    practicepass: PracticePass,
}

/// Permission to open the catalog, the products and knowledge base of all practices.
///
/// Only this module can create one.
#[derive(Clone, Debug)]
pub struct CatalogGrant(());

impl CatalogGrant {
    /// Grants access to the platform's own work: the log poller, migrations and the local stack.
    pub fn for_operations() -> Self {
        Self(())
    }
}

impl PracticeGrant {
    pub fn practicepass(&self) -> &PracticePass {
        &self.practicepass
    }

    /// Grants access to the platform's own work: the log poller, migrations and the local stack.
    pub fn for_operations(practicepass: PracticePass) -> Self {
        Self { practicepass }
    }
}

impl Caller {
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(Denied::MissingScope(scope)) }
    }

    /// Grants access to the practice in the path, for a scope.
    pub fn enter(&self, practicepass: &str, scope: Scope) -> Result<PracticeGrant, Denied> {
        if self.practicepass.as_str() != practicepass {
            return Err(Denied::OtherPractice);
        }
        self.require(scope)?;
        Ok(self.own_practice())
    }

    /// Grants access to the catalog, for a scope.
    pub fn enter_catalog(&self, scope: Scope) -> Result<CatalogGrant, Denied> {
        self.require(scope)?;
        Ok(CatalogGrant(()))
    }

    /// Grants access to the key's own practice, for operations that need no scope.
    pub fn own_practice(&self) -> PracticeGrant {
        PracticeGrant { practicepass: self.practicepass.clone() }
    }
}
