//! Checks of fields that several request bodies have.

use shared::{
    api::{Admin, ApiResult, FieldError},
    control::practices::Practice,
    domain::{PracticePass, Scope},
};

/// Returns the error of a field that names something unknown.
pub(crate) fn unknown(name: &str, what: &str) -> FieldError {
    FieldError { location: format!("body.{name}"), code: "UNKNOWN", message: format!("is not a {what}") }
}

/// Returns the practice with this `PPass`, if it is registered.
pub(crate) async fn practice(admin: &Admin, text: &str) -> ApiResult<Option<Practice>> {
    match PracticePass::try_from(text) {
        Ok(practicepass) => Ok(admin.app.control.practice(&practicepass).await?),
        Err(_) => Ok(None),
    }
}

/// Returns the scopes without duplicates, in the order of the documentation.
///
/// # Errors
/// `TOO_SHORT` if there is no scope.
pub(crate) fn scopes(mut scopes: Vec<Scope>) -> Result<Vec<Scope>, FieldError> {
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        let message = "must contain at least one scope".into();
        return Err(FieldError { location: "body.scopes".into(), code: "TOO_SHORT", message });
    }
    Ok(scopes)
}
