//! `POST /v1/admin/keys/{id}/revoke`

use shared::{
    api::{Admin, ApiResult, Data, NoBody, PathText, Problem},
    auth::{KeyRecord, KeyStatus},
    domain::ids::KeyId,
};

use super::{
    KeyRow,
    change::{Act, change, load},
};

/// Revoke a key, for good.
///
/// It gets no more tokens at once. Its tokens and portal sessions die within a minute, and webhooks whose scopes no other live key of
/// the partner grants stop. Revoking it again changes nothing.
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
