//! Checks of fields that several request bodies have.

use shared::{
    api::{Admin, ApiResult, FieldError, FieldProblem, FieldValue, Source},
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

/// One scope or more, without duplicates, in the order of the documentation.
#[derive(Clone, Debug)]
pub(crate) struct Scopes(Vec<Scope>);

impl Scopes {
    /// # Errors
    /// `TOO_SHORT` if there is no scope.
    pub(crate) fn new(mut scopes: Vec<Scope>) -> Result<Self, FieldProblem> {
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(FieldProblem::new("TOO_SHORT", "must contain at least one scope"));
        }
        Ok(Self(scopes))
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self(vec![Scope::Prospects])
    }
}

impl FieldValue for Scopes {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        Vec::read(source).and_then(Self::new)
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.0
    }
}
