//! Contact fields: e-mail address, phone number and website.

use axum::http::Uri;
use utoipa::ToSchema;

use crate::api::{FieldProblem, FieldValue, Source, check_text};
use crate::domain::contact;

/// An e-mail address.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "email", max_length = 254)]
pub struct Email(pub String);

/// A phone number with 7 to 15 digits.
///
/// Dashes, spaces and other usual separators are allowed, as are the prefix `tel:` and an
/// extension: `ext. 12`, `x12`, `#12` or `;ext=12`. Invisible characters are removed.
#[derive(Clone, Debug, ToSchema)]
#[schema(
    value_type = String, max_length = 40, example = "(212) 555-0123",
    pattern = "^(?:[tT][eE][lL]:)?[ +()./\\u00a0\\u2010-\\u2015-]*([0-9][ \
        +()./\\u00a0\\u2010-\\u2015-]*){7,15}(,? ?([eE][xX][tT]([eE][nN][sS][iI][oO][nN])?\\.? \
        ?|;[eE][xX][tT]=|[xX] ?|# ?)[0-9]{1,11})?$",
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
        let text = check_text(&contact::visible(source.text()?), 1, 40)?;
        contact::check_phone(&text).map(|()| Self(text)).map_err(FieldProblem::invalid)
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
