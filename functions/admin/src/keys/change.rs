//! Changes keys that other requests may change concurrently.

use shared::{
    api::{Admin, ApiError, ApiResult, Change, Code},
    auth::{KeyRecord, KeyStatus},
    control,
    domain::ids::KeyId,
    retry_on_conflict,
};

/// An action on a key, for the audit log.
pub(crate) struct Act<'a> {
    pub(crate) action: &'static str,
    pub(crate) fields: &'a [&'static str],
}

pub(crate) async fn load(admin: &Admin, id: &KeyId) -> ApiResult<KeyRecord> {
    admin.app.control.api_key(id).await?.ok_or_else(ApiError::not_found)
}

/// Loads the key.
///
/// # Errors
/// 404 if the key does not exist, 409 if it is revoked.
pub(crate) async fn load_active(admin: &Admin, id: &KeyId) -> ApiResult<KeyRecord> {
    let key = load(admin, id).await?;
    match key.status {
        KeyStatus::Active => Ok(key),
        KeyStatus::Revoked => {
            Err(ApiError::new(Code::KeyRevoked, "A revoked key cannot be changed. Create a new one."))
        }
    }
}

/// Applies `edit` to the active key, stores it with an audit record, and returns it.
///
/// Retries if another request changes the key at the same time.
pub(crate) async fn change(
    admin: &Admin,
    id: &KeyId,
    act: Act<'_>,
    edit: impl Fn(&mut KeyRecord),
) -> ApiResult<KeyRecord> {
    let detail = "Other requests are changing this key. Read it again.";
    retry_on_conflict!(admin.app, detail, || {
        let mut key = load_active(admin, id).await?;
        edit(&mut key);
        key.revision += 1;
        let write = admin.app.control.change_api_key_write(&key)?;
        let change = Change { fields: act.fields, ..Change::new(act.action, id.as_str()) };
        match admin.commit(change, vec![write]).await {
            Ok(()) => {
                admin.app.keys.forget_partner(&key.partner_id);
                Ok(Some(key))
            }
            Err(control::Error::ConditionFailed) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}
