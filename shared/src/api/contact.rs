//! How a company is reached.

use axum::http::Uri;
use utoipa::ToSchema;

use super::{FieldProblem, FieldValue, Source, check_text};
use crate::domain::contact;

/// An e-mail address.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "email", max_length = 254)]
pub struct Email(pub String);

/// A phone number of 7 to 15 digits.
#[derive(Clone, Debug, ToSchema)]
#[schema(
    value_type = String, max_length = 40, example = "(212) 555-0123",
    pattern = "^[ +()./te-]*([0-9][ +()./te-]*){7,15}([xX#][0-9 +()./texX#-]*)?$",
)]
pub struct Phone(pub String);

/// An http or https URL.
#[derive(Clone, Debug, ToSchema)]
#[schema(
    value_type = String, max_length = 500, example = "https://partner.example.com",
    pattern = "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][A-Za-z0-9._~:/?#\\[\\]@!$&'()*+,;=%-]*)?$",
)]
pub struct Website(pub String);

impl FieldValue for Email {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 1, 254)?;
        if contact::is_email(&text) {
            Ok(Self(text))
        } else {
            Err(FieldProblem::invalid("must be an e-mail address"))
        }
    }
}

impl FieldValue for Phone {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 1, 40)?;
        if contact::is_phone(&text) {
            Ok(Self(text))
        } else {
            Err(FieldProblem::invalid("must be a phone number"))
        }
    }
}

impl FieldValue for Website {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 1, 500)?;
        let web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        match text.parse() {
            Ok(uri) if web(&uri) => Ok(Self(text)),
            _ => Err(FieldProblem::invalid("must be an http or https URL")),
        }
    }
}

macro_rules! into_text {
    ($($name:ident)+) => {$(
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    )+};
}

into_text! { Email Phone Website }
