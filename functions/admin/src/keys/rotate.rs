//! Handles `POST /v1/admin/keys/{id}/rotate`.

use axum::http::StatusCode;
use jiff::SignedDuration;
use shared::{
    api::{
        Admin, ApiError, ApiResult, Change, Data, FieldProblem, FieldValue, JsonAnswer, Once, PathText,
        Problem, Source,
    },
    auth::api_key::ApiKey,
    body,
    domain::ids::KeyId,
};
use utoipa::ToSchema;

use super::{KeyRow, NewKey, change::load_active};

/// How long the old secret stays valid beside the new one.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, pattern = "^(0|1h|24h|7d)$")]
pub(crate) struct Overlap(Option<SignedDuration>);

impl FieldValue for Overlap {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source.text()? {
            "0" => Ok(Self(None)),
            "1h" => Ok(Self(Some(SignedDuration::from_hours(1)))),
            "24h" => Ok(Self(Some(SignedDuration::from_hours(24)))),
            "7d" => Ok(Self(Some(SignedDuration::from_hours(7 * 24)))),
            _ => Err(FieldProblem::invalid("must be one of 0, 1h, 24h, 7d")),
        }
    }
}

body! {
    pub struct RotateKey {
        /// How long both secrets can get tokens. Required, because `0` ends the old secret at once.
        "overlap" => overlap: Overlap,
    }
}

/// Rotate the secret of an API key.
///
/// The key keeps its id, scopes and practice. With an overlap, the old secret and its tokens work
/// until the overlap ends; without one, they end within a minute. Rotating again ends an overlap,
/// so at most two secrets are valid. `apiKey` is only in this response.
#[utoipa::path(
    post,
    path = "/v1/admin/keys/{id}/rotate",
    tag = "Administration",
    params(
        ("id" = KeyId, Path, description = "The key's id"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = RotateKey,
    responses(
        (status = 200, body = Data<NewKey>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`KEY_REVOKED`, `CONCURRENT_CHANGE`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn rotate_key(
    admin: Admin,
    PathText(id): PathText,
    Once { body, key: once }: Once<RotateKey>,
) -> ApiResult<JsonAnswer> {
    if let Some(answer) = admin.stored_response(&once).await? {
        return Ok(answer);
    }
    let mut key = load_active(&admin, &KeyId(id)).await?;
    let malformed = || ApiError::internal(&std::io::Error::other("a stored key has no prefix"));
    let new = ApiKey::renewed(&key.prefix, &admin.app.random.bytes()).ok_or_else(malformed)?;
    key.rotate(&new, body.overlap.0.map(|overlap| admin.now() + overlap), admin.now());
    key.revision += 1;
    let data = NewKey { api_key: new.reveal(), key: KeyRow::new(key.clone(), admin.now()) };
    let answer = JsonAnswer::new(StatusCode::OK, &Data { data })?;
    let write = admin.app.control.change_api_key_write(&key)?;
    let change = Change::new("keys.rotate", key.id.as_str());
    let answer = admin.commit_once(&once, change, vec![write], answer).await?;
    admin.app.keys.forget_partner(&key.partner_id);
    Ok(answer)
}
