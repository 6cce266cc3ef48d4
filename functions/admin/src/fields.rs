//! What the bodies of several endpoints hold.

use shared::{
    api::{Admin, ApiResult, FieldError},
    control::practices::Practice,
    domain::{PracticePass, Scope},
};

/// The error of a field that names what doesn't exist.
pub(crate) fn unknown(name: &str, what: &str) -> FieldError {
    FieldError { location: format!("body.{name}"), code: "UNKNOWN", message: format!("is no {what}") }
}

/// The registered practice of a text, if it names one.
pub(crate) async fn practice(admin: &Admin, text: &str) -> ApiResult<Option<Practice>> {
    match PracticePass::try_from(text) {
        Ok(practicepass) => Ok(admin.app.control.practice(&practicepass).await?),
        Err(_) => Ok(None),
    }
}

/// Each scope once, in the order of the documentation; an error when there is none.
pub(crate) fn scopes(mut scopes: Vec<Scope>) -> Result<Vec<Scope>, FieldError> {
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        let message = "needs at least one scope".into();
        return Err(FieldError { location: "body.scopes".into(), code: "TOO_SHORT", message });
    }
    Ok(scopes)
}
