//! Checks the age of the secrets and whether a rotation is unfinished. Reads no values.

use jiff::Timestamp;
use shared::{
    app::App,
    auth::secret_ref::SecretRef,
    control::{self, Error, secrets::CurrentVersion},
};

use super::{
    check::{Check, CheckName, CheckStatus, seconds_between},
    thresholds::{ADMIN_SECRET_DAYS, EDGE_SECRET_DAYS, ROTATION_DAYS, TOKEN_KEY_DAYS},
};

const DAY: i64 = 24 * 60 * 60;

pub(super) async fn check(
    app: &App,
    name: CheckName,
    secret: Option<&SecretRef>,
    now: Timestamp,
) -> control::Result<Vec<Check>> {
    let (variable, most) = match name {
        CheckName::TokenKeys => ("TOKEN_KEYS_SECRET", TOKEN_KEY_DAYS),
        CheckName::AdminSecret => ("ADMIN_SECRETS_SECRET", ADMIN_SECRET_DAYS),
        _ => ("EDGE_SECRET", EDGE_SECRET_DAYS),
    };
    let version = app.secrets.current_version(secret.ok_or(Error::NotConfigured(variable))?).await?;
    Ok(vec![of_version(name, version, most, now)])
}

fn of_version(name: CheckName, version: Option<CurrentVersion>, most: i64, now: Timestamp) -> Check {
    let Some(CurrentVersion { created_at: Some(created_at), rotating }) = version else {
        return Check::new(name, CheckStatus::Ok, "The secret exists. Its age is unknown.");
    };
    let days = seconds_between(created_at, now) / DAY;
    let (status, detail) = match (rotating, days) {
        (true, days) if days > ROTATION_DAYS => (
            CheckStatus::Degraded,
            "A rotation is unfinished: the previous secret is still valid. Finish or abort the rotation.",
        ),
        (true, _) => (CheckStatus::Ok, "A rotation is in progress: the previous secret is still valid."),
        (false, days) if days > most => (CheckStatus::Degraded, "The secret is too old. Rotate it."),
        (false, _) => (CheckStatus::Ok, "The secret is not too old."),
    };
    let check = Check::new(name, status, detail).since(created_at, now);
    if rotating {
        check.at_most("rotationDays", days, ROTATION_DAYS)
    } else {
        check.at_most("ageDays", days, most)
    }
}
