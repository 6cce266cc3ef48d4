//! `PATCH /v1/me`: JSON merge patch (RFC 7396).

use shared::{
    api::{
        ApiError, ApiResult, Body, Code, Email, Message, Partner, Patch, Phone, Problem, Replace, Website,
    },
    body, control, text_field,
};

use crate::profile::{Me, load};

text_field! { Company, 1, 200 }
text_field! { ContactName, 1, 200 }

body! {
    /// Absent keeps, null clears; the company can't be cleared.
    pub struct UpdateMe {
        #[schema(value_type = Company, required = false)]
        "company" => company: Replace<Company>,
        #[schema(value_type = Option<ContactName>, required = false)]
        "contactName" => contact_name: Patch<ContactName>,
        #[schema(value_type = Option<Email>, required = false)]
        "email" => email: Patch<Email>,
        #[schema(value_type = Option<Phone>, required = false)]
        "phone" => phone: Patch<Phone>,
        #[schema(value_type = Option<Website>, required = false)]
        "website" => website: Patch<Website>,
        #[schema(value_type = Option<Email>, required = false)]
        "notificationEmail" => notification_email: Patch<Email>,
    }
}

/// Update your partner profile.
///
/// A JSON merge patch: what is absent stays, `null` clears. What a key may do is not yours to change.
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
    if let Some(company) = change.company.0 {
        profile.company = company.into();
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
