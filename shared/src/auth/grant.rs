//! The decision whether a caller may do something, and its proof.

use jiff::Timestamp;

use crate::domain::{
    PracticePass, Scope,
    ids::{KeyId, PartnerId},
};

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
