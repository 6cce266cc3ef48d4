//! The current call.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

use axum::{extract::FromRequestParts, http::request::Parts};
use jiff::Timestamp;

use crate::api::ApiError;
use crate::{
    app::{App, Rate},
    auth::{Caller, api_key::ApiKey},
    domain::ids::KeyId,
};

/// What is known about the current call. Cheap to clone.
///
/// The middleware creates it, extractors add to it, and the middleware reads it after the response.
#[derive(Clone)]
pub struct Call(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) request_id: String,
    pub(super) now: Timestamp,
    pub(super) address: Option<IpAddr>,
    pub(super) caller: OnceLock<Caller>,
    pub(super) rate: OnceLock<Rate>,
    pub(super) admin: OnceLock<AdminUse>,
    /// The id in the API key that was offered, whether correct or wrong.
    pub(super) attempted_key: OnceLock<KeyId>,
}

/// How the administrator of a call authenticated, and whether its audit record is written.
pub(in crate::api) struct AdminUse {
    pub(in crate::api) credential: &'static str,
    /// The id of the item that the call is about, if it is known.
    pub(in crate::api) target: OnceLock<String>,
    pub(in crate::api) audited: AtomicBool,
}

impl Call {
    /// Returns the id that the caller sent, or a generated one.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Returns when the call began: the only clock of a handler.
    pub fn now(&self) -> Timestamp {
        self.0.now
    }

    /// Returns the caller's IP address.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// Sets the id of the offered API key for the call record; its secret is not stored.
    pub fn note_attempted_key(&self, offered: &str) {
        if let Some(id) = ApiKey::id_in(offered) {
            let _ = self.0.attempted_key.set(id);
        }
    }

    /// Sets the caller for the call record.
    pub fn identify(&self, caller: &Caller) {
        let _ = self.0.caller.set(caller.clone());
    }
}

impl FromRequestParts<App> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let missing = || ApiError::internal(&std::io::Error::other("the route lacks the middleware"));
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
