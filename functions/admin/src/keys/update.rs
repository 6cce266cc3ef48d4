//! Handles `PATCH /v1/admin/keys/{id}`: a JSON merge patch (RFC 7396).

use jiff::Timestamp;
use shared::{
    api::{
        Admin, ApiResult, Body, Data, FieldErrors, PartialUpdate as _, PathText, Problem, Update, UpdateOf,
    },
    auth::KeyRecord,
    domain::{Scope, ids::KeyId},
    patch,
};

use super::{
    KeyRow,
    change::{Act, change, load_active},
    terms::{KeyName, Network, Networks, RateLimit, expiry},
};
use crate::fields::Scopes;

patch! {
    /// The fields to change. An absent field keeps its value.
    ///
    /// Null clears `expiresAt` and `allowedCidrs`; the other fields cannot be cleared.
    #[derive(Clone)]
    pub struct UpdateKey {
        "name" => name: Replace<KeyName>,
        #[schema(min_items = 1)]
        "scopes" => scopes: Replace<Scopes> as Vec<Scope>,
        #[schema(format = "date-time")]
        "expiresAt" => expires_at: Patch<Timestamp> as String,
        "allowedCidrs" => allowed_cidrs: Patch<Networks> as Vec<Network>,
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
    errors.extend(request_body.peek("expiresAt").and_then(|it| expiry(it, admin.now()).err()));
    let body = request_body.validated(errors)?;
    let changed = body.given();
    if changed.is_empty() {
        return Ok(Data { data: KeyRow::new(load_active(&admin, &id).await?, admin.now()) });
    }
    let act = Act { action: "keys.update", fields: &changed };
    let key = change(&admin, &id, act, |key| {
        body.clone().apply(key);
        key.changed_at.extend(changed.iter().map(|field| ((*field).to_owned(), admin.now())));
    })
    .await?;
    Ok(Data { data: KeyRow::new(key, admin.now()) })
}

impl UpdateKey {
    fn apply(self, key: &mut KeyRecord) {
        self.name.apply(&mut key.name);
        self.scopes.apply(&mut key.scopes);
        self.expires_at.apply(&mut key.expires_at);
        self.allowed_cidrs.apply_or_clear(&mut key.allowed_cidrs);
        self.rate_limit.apply(&mut key.rate_limit);
    }
}
