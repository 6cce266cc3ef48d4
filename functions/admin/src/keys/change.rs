//! Changing a key that others may change at the same time.

use shared::{
    api::{Admin, Answer, ApiError, ApiResult, Change, Code, IdempotencyKey, TRIES, step_back},
    auth::{KeyRecord, KeyStatus},
    control,
    domain::ids::KeyId,
};

/// What is done to a key.
pub(crate) struct Act<'a> {
    pub(crate) action: &'static str,
    pub(crate) fields: &'a [&'static str],
}

pub(crate) async fn load(admin: &Admin, id: &KeyId) -> ApiResult<KeyRecord> {
    admin.app.control.api_key(id).await?.ok_or_else(ApiError::not_found)
}

/// The key, if it isn't revoked: that is for good.
pub(crate) async fn load_active(admin: &Admin, id: &KeyId) -> ApiResult<KeyRecord> {
    let key = load(admin, id).await?;
    match key.status {
        KeyStatus::Active => Ok(key),
        KeyStatus::Revoked => Err(ApiError::new(Code::KeyRevoked, "A revoked key stays so; make a new one.")),
    }
}

/// Applies `edit` to the active key and gives it back as it is written, with its audit record.
pub(crate) async fn change(
    admin: &Admin,
    id: &KeyId,
    act: Act<'_>,
    edit: impl Fn(&mut KeyRecord),
) -> ApiResult<KeyRecord> {
    for attempt in 1..=TRIES {
        let mut key = load_active(admin, id).await?;
        edit(&mut key);
        key.revision += 1;
        let write = admin.app.control.change_api_key(&key)?;
        let change = Change { fields: act.fields, ..Change::new(act.action, id.as_str()) };
        match admin.commit(change, vec![write]).await {
            Ok(()) => {
                admin.app.keys.forget_partner(&key.partner_id);
                return Ok(key);
            }
            Err(control::Error::ConditionFailed) => step_back(&admin.app, attempt).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::new(Code::ConcurrentChange, "Read the key again."))
}

/// Writes a key that was changed once, keeping the answer for its `Idempotency-Key`.
pub(crate) async fn change_once(
    admin: &Admin,
    once: &IdempotencyKey,
    action: &'static str,
    key: &KeyRecord,
    answer: Answer,
) -> ApiResult<Answer> {
    let write = admin.app.control.change_api_key(key)?;
    let answer = admin.commit_once(once, Change::new(action, key.id.as_str()), vec![write], answer).await?;
    admin.app.keys.forget_partner(&key.partner_id);
    Ok(answer)
}
