//! Handles `PATCH /v1/admin/keys/{id}`: a JSON merge patch (RFC 7396).

use jiff::Timestamp;
use shared::{
    api::{
        Admin, ApiError, ApiResult, Body, Data, FieldError, FieldErrors, Patch, PathText, Problem, Replace,
        Update, UpdateOf,
    },
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
    /// The fields to change. An absent field keeps its value.
    ///
    /// Null clears `expiresAt` and `allowedCidrs`; the other fields cannot be cleared.
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

impl UpdateOf for UpdateKey {
    const READ_ONLY: &'static [&'static str] =
        &["id", "partnerId", "partner", "practicepass", "prefix", "status", "createdAt"];
    const MOVING: &'static [&'static str] = &["lastUsedAt", "previousSecretUntil"];
}

/// Change the name, scopes, expiry, networks or rate limit of an API key.
///
/// Issued tokens lose within a minute what the key loses.
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
    Body(update): Body<Update<UpdateKey>>,
) -> ApiResult<Data<KeyRow>> {
    let id = KeyId(id);
    let stored = admin.app.control.api_key(&id).await?.ok_or_else(|| update.of_nothing())?;
    let request_body = update.reading(&KeyRow::new(stored, admin.now()))?;
    let mut errors = FieldErrors::default();
    errors.extend(request_body.peek("scopes").and_then(|it| fields::scopes(it).err()));
    errors.extend(request_body.peek("expiresAt").and_then(|it| expiry(it, admin.now()).err()));
    errors.extend(request_body.peek("allowedCidrs").and_then(|it| networks(it).err()));
    let body = request_body.validated(errors)?;
    let refused = |error: FieldError| ApiError::fields(FieldErrors::from(error));
    let mut wanted = load_active(&admin, &id).await?;
    let mut changed = Vec::new();
    if let Some(name) = body.name.0 {
        wanted.name = name.into();
        changed.push("name");
    }
    if let Some(scopes) = body.scopes.0 {
        wanted.scopes = fields::scopes(scopes).map_err(refused)?;
        changed.push("scopes");
    }
    if !body.expires_at.is_absent() {
        body.expires_at.apply(&mut wanted.expires_at);
        changed.push("expiresAt");
    }
    if !body.allowed_cidrs.is_absent() {
        let cidrs = match body.allowed_cidrs {
            Patch::Value(cidrs) => cidrs,
            Patch::Null | Patch::Absent => Vec::new(),
        };
        wanted.allowed_cidrs = networks(cidrs).map_err(refused)?;
        changed.push("allowedCidrs");
    }
    if let Some(limit) = body.rate_limit.0 {
        wanted.rate_limit = limit.0;
        changed.push("rateLimit");
    }
    if changed.is_empty() {
        return Ok(Data { data: KeyRow::new(wanted, admin.now()) });
    }
    let act = Act { action: "keys.update", fields: &changed };
    // Write only the given fields: another request may be changing the others.
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
        key.changed_at.extend(changed.iter().map(|field| ((*field).to_owned(), admin.now())));
    })
    .await?;
    Ok(Data { data: KeyRow::new(key, admin.now()) })
}
