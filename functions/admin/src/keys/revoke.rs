//! Handles `POST /v1/admin/keys/{id}/revoke`.

use shared::{
    api::{Admin, ApiResult, Data, NoBody, PathText, Problem},
    auth::{KeyRecord, KeyStatus},
    domain::ids::KeyId,
};

use super::{
    KeyRow,
    change::{Act, change, load},
};

/// Revoke an API key permanently.
///
/// The key can no longer get tokens. Within a minute, its tokens and portal sessions end, and
/// webhooks stop whose scopes no other valid key of the partner grants. Revoking the key again has
/// no effect.
#[utoipa::path(
    post,
    path = "/v1/admin/keys/{id}/revoke",
    tag = "Administration",
    params(("id" = KeyId, Path, description = "The key's id")),
    responses(
        (status = 200, body = Data<KeyRow>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
    ),
)]
pub(crate) async fn revoke_key(admin: Admin, PathText(id): PathText, _: NoBody) -> ApiResult<Data<KeyRow>> {
    let id = KeyId(id);
    let mut key = load(&admin, &id).await?;
    if key.status == KeyStatus::Active {
        let act = Act { action: "keys.revoke", fields: &[] };
        key = change(&admin, &id, act, KeyRecord::revoke).await?;
    }
    Ok(Data { data: KeyRow::new(key, admin.now()) })
}
