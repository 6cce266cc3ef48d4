//! `PATCH /v1/admin/keys/{id}`: JSON merge patch (RFC 7396).

use jiff::Timestamp;
use shared::{
    api::{Admin, ApiError, ApiResult, Body, Data, Patch, PathText, Problem, Replace},
    body,
    domain::{Scope, ids::KeyId},
};

use super::{
    KeyRow,
    change::{Act, change, load_active},
    terms::{KeyName, Network, RateLimit, expiry, networks},
};
use crate::fields;

body! {
    /// Absent keeps; null clears `expiresAt` and `allowedCidrs` and can't clear the others.
    pub struct UpdateKey {
        #[schema(value_type = KeyName, required = false)]
        "name" => name: Replace<KeyName>,
        #[schema(value_type = Vec<Scope>, required = false, min_items = 1)]
        "scopes" => scopes: Replace<Vec<Scope>>,
        #[schema(value_type = Option<String>, format = "date-time", required = false)]
        "expiresAt" => expires_at: Patch<Timestamp>,
        #[schema(value_type = Option<Vec<Network>>, required = false)]
        "allowedCidrs" => allowed_cidrs: Patch<Vec<Network>>,
        #[schema(value_type = RateLimit, required = false)]
        "rateLimit" => rate_limit: Replace<RateLimit>,
    }
}

/// Change a key's name, scopes, expiry, networks or rate limit.
///
/// Tokens that were given out lose what the key loses within a minute.
#[utoipa::path(
    patch,
    path = "/v1/admin/keys/{id}",
    tag = "Administration",
    params(("id" = KeyId, Path, description = "The key's id")),
    request_body = UpdateKey,
    responses(
        (status = 200, body = Data<KeyRow>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`KEY_REVOKED`, `CONCURRENT_CHANGE`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`"),
    ),
)]
pub(crate) async fn update_key(
    admin: Admin,
    PathText(id): PathText,
    Body(body): Body<UpdateKey>,
) -> ApiResult<Data<KeyRow>> {
    let id = KeyId(id);
    let mut wanted = load_active(&admin, &id).await?;
    let (mut errors, mut changed) = (Vec::new(), Vec::new());
    if let Some(name) = body.name.0 {
        wanted.name = name.into();
        changed.push("name");
    }
    if let Some(scopes) = body.scopes.0 {
        changed.push("scopes");
        match fields::scopes(scopes) {
            Ok(scopes) => wanted.scopes = scopes,
            Err(error) => errors.push(error),
        }
    }
    match body.expires_at {
        Patch::Absent => {}
        Patch::Null => {
            wanted.expires_at = None;
            changed.push("expiresAt");
        }
        Patch::Value(at) => {
            changed.push("expiresAt");
            match expiry(at, admin.now()) {
                Ok(at) => wanted.expires_at = Some(at),
                Err(error) => errors.push(error),
            }
        }
    }
    match body.allowed_cidrs {
        Patch::Absent => {}
        Patch::Null => {
            wanted.allowed_cidrs = Vec::new();
            changed.push("allowedCidrs");
        }
        Patch::Value(cidrs) => {
            changed.push("allowedCidrs");
            match networks(cidrs) {
                Ok(cidrs) => wanted.allowed_cidrs = cidrs,
                Err(error) => errors.push(error),
            }
        }
    }
    if let Some(limit) = body.rate_limit.0 {
        wanted.rate_limit = limit.0;
        changed.push("rateLimit");
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    if changed.is_empty() {
        return Ok(Data { data: KeyRow::new(wanted, admin.now()) });
    }
    let act = Act { action: "keys.update", fields: &changed };
    // Only the fields that were given: another may be changing the others.
    let key = change(&admin, &id, act, |key| {
        for field in &changed {
            match *field {
                "name" => key.name.clone_from(&wanted.name),
                "scopes" => key.scopes.clone_from(&wanted.scopes),
                "expiresAt" => key.expires_at = wanted.expires_at,
                "allowedCidrs" => key.allowed_cidrs.clone_from(&wanted.allowed_cidrs),
                _ => key.rate_limit = wanted.rate_limit,
            }
        }
    })
    .await?;
    Ok(Data { data: KeyRow::new(key, admin.now()) })
}
