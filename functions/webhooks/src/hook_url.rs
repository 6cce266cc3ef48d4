//! Validation of the URL of a partner's endpoint.

use shared::{
    api::{ApiError, Code, FieldError},
    egress::{Client, HookUrl, Reach, Refused},
};

/// Returns the URL if it may be called now.
pub(crate) async fn check(hooks: &Client, text: &str) -> Result<HookUrl, FieldError> {
    let url = HookUrl::parse(text, hooks.reach()).map_err(|refused| error(&refused))?;
    match hooks.vet(&url).await {
        // The local stack may be offline. Without an address nothing is called anyway.
        Err(Refused::NoAddress | Refused::LookupFailed) if hooks.reach() == Reach::InternetAndLoopback => {
            Ok(url)
        }
        Err(refused) => Err(error(&refused)),
        Ok(()) => Ok(url),
    }
}

/// Returns 422, for a request in which only the URL is invalid.
pub(crate) fn hook_url_refused(error: FieldError) -> ApiError {
    ApiError::new(Code::HookUrlRefused, "Use an https URL with a public address.").with_errors(vec![error])
}

fn error(refused: &dyn std::error::Error) -> FieldError {
    FieldError { location: "body.hookUrl".into(), code: "INVALID_VALUE", message: refused.to_string() }
}
