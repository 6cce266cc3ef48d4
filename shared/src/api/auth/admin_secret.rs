//! The admin secret as a credential.

use axum::http::StatusCode;

use super::audit::audit_record;
use crate::api::{ApiResult, Call};
use crate::{
    app::{self, App, Protected},
    auth::WhichSecret,
    control::{self, audit::AuditRecord},
};

/// Returns the name of a secret in the audit log.
pub fn credential_of(secret: WhichSecret) -> &'static str {
    match secret {
        WhichSecret::Current => "current",
        WhichSecret::Previous => "previous",
    }
}

/// Returns which accepted admin secret was offered, if any. Attempts are limited.
///
/// Without a usable secret, nobody is an administrator.
pub async fn recognize_admin(app: &App, call: &Call, offered: &str) -> ApiResult<Option<WhichSecret>> {
    usable(app.admin_secrets().await)?;
    let attempt = app.attempt(Protected::AdminSecret, call.address(), call.now()).await?;
    let found = usable(app.recognize_admin(offered).await)?.flatten();
    if found.is_some() {
        attempt.succeeded().await;
    } else if attempt.failed().await {
        let refused = AuditRecord {
            action: "admin-secret.refused".to_owned(),
            status: Some(StatusCode::UNAUTHORIZED.as_u16()),
            ..audit_record(app, call, "wrong")
        };
        app.control.record_audit(&refused).await?;
    }
    Ok(found)
}

/// Whether the secret that began this session is still accepted.
pub(in crate::api) async fn still_bound(app: &App, session: &str, proof: &str) -> ApiResult<bool> {
    Ok(usable(app.is_bound(session, proof).await)?.unwrap_or(false))
}

/// Returns the result; `None` if the admin secrets are unusable, so nobody is an administrator.
///
/// # Errors
/// 503 if the secrets cannot be read at the moment.
fn usable<T>(asked: Result<T, app::Error>) -> ApiResult<Option<T>> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error @ app::Error::Control(control::Error::Unavailable { .. })) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "the admin secrets are unusable; every admin secret is rejected");
            Ok(None)
        }
    }
}
