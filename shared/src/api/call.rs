//! What is known of the call under way.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::{extract::FromRequestParts, http::request::Parts};
use jiff::Timestamp;

use super::{ApiError, admin::AdminUse};
use crate::{
    app::{App, Rate},
    auth::{Caller, api_key::ApiKey},
    domain::ids::KeyId,
};

/// Set by the edge, filled by the extractors, read by the edge when the reply is there. Cheap to clone.
#[derive(Clone)]
pub struct Call(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) request_id: String,
    pub(super) now: Timestamp,
    pub(super) address: Option<IpAddr>,
    pub(super) caller: OnceLock<Caller>,
    pub(super) rate: OnceLock<Rate>,
    pub(super) admin: OnceLock<AdminUse>,
    /// The id in the API key that was offered, right or wrong.
    pub(super) attempted_key: OnceLock<KeyId>,
}

impl Call {
    /// The id that the caller sent or that was made for it.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The instant the call began: the only time a handler knows.
    pub fn now(&self) -> Timestamp {
        self.0.now
    }

    /// Where the call came from.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// Keeps the id of the API key that was offered for the call's record; never its secret.
    pub fn note_attempted_key(&self, offered: &str) {
        if let Some(id) = ApiKey::id_in(offered) {
            let _ = self.0.attempted_key.set(id);
        }
    }

    /// Names the caller in the call's record.
    pub fn identify(&self, caller: &Caller) {
        let _ = self.0.caller.set(caller.clone());
    }
}

impl FromRequestParts<App> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let missing = || ApiError::internal(&std::io::Error::other("a route outside of the edge"));
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
