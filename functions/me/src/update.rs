//! `PATCH /v1/me`: JSON merge patch (RFC 7396).

use shared::{
    api::{
        ApiError, ApiResult, Body, Code, FieldProblem, FieldValue, Message, Partner, Patch, Problem, Source,
        check_text,
    },
    control,
    domain::contact,
    patch, text_field,
};
use utoipa::ToSchema;

use crate::profile::{Me, load};

text_field! { Company, 1, 200 }
text_field! { ContactName, 1, 200 }

/// An e-mail address.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "email", max_length = 254)]
pub struct Email(String);

/// A phone number of 7 to 15 digits.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 40, example = "(212) 555-0123")]
pub struct Phone(String);

/// An http or https URL.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = "uri", max_length = 500)]
pub struct Website(String);

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
        let web = |uri: &axum::http::Uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
        };
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

patch! {
    /// Absent keeps, null clears; the company can't be cleared.
    pub struct UpdateMe {
        "company" => company: Company,
        "contactName" => contact_name: ContactName,
        "email" => email: Email,
        "phone" => phone: Phone,
        "website" => website: Website,
        "notificationEmail" => notification_email: Email,
    }
}

/// Update your partner profile.
#[utoipa::path(
    patch,
    path = "/v1/me",
    tag = "My Information",
    request_body = UpdateMe,
    responses(
        (status = 200, body = Message<Me>),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`"),
    ),
)]
pub(crate) async fn update_me(partner: Partner, Body(change): Body<UpdateMe>) -> ApiResult<Message<Me>> {
    let mut profile = load(&partner).await?;
    match change.company {
        Patch::Absent => (),
        Patch::Null => return Err(ApiError::field("company", "REQUIRED", "can't be cleared")),
        Patch::Value(company) => profile.company = company.into(),
    }
    change.contact_name.apply(&mut profile.contact_name);
    change.email.apply(&mut profile.email);
    change.phone.apply(&mut profile.phone);
    change.website.apply(&mut profile.website);
    change.notification_email.apply(&mut profile.notification_email);
    profile.updated_at = partner.now();
    profile.version += 1;
    partner.app.control.replace_partner(&profile).await.map_err(|error| match error {
        control::Error::ConditionFailed => ApiError::new(Code::ConcurrentChange, "Read your profile again."),
        error => error.into(),
    })?;
    Ok(Message { message: "Profile updated successfully", data: Me::new(profile, &partner.caller) })
}
