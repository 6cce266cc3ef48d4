//! Handles `PATCH /v1/me`: a JSON merge patch (RFC 7396).

use shared::{
    api::{
        ApiResult, Body, Change, Email, Message, Partner, Phone, Problem, Update, UpdateOf, Website,
        audit_change,
    },
    control::{self, partners},
    patch, retry_on_conflict, text_field,
};

use crate::profile::{Me, load};

text_field! { name Company, 1, 200 }
text_field! { ContactName, 1, 200 }

patch! {
    /// The fields to change. An absent field keeps its value; null clears it.
    ///
    /// `company` cannot be cleared.
    #[derive(Clone)]
    pub struct UpdateMe {
        "company" => company: Replace<Company>,
        "contactName" => contact_name: Patch<ContactName>,
        "email" => email: Patch<Email>,
        "phone" => phone: Patch<Phone>,
        "website" => website: Patch<Website>,
        "notificationEmail" => notification_email: Patch<Email>,
    }
}

/// Update your partner profile.
///
/// The body is a JSON merge patch: an absent field keeps its value; null clears it. Only
/// administrators can change an API key. Changes to `company` and `email` are shown to
/// administrators.
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
pub(crate) async fn update_me(
    partner: Partner,
    Body(update): Body<Update<UpdateMe>>,
) -> ApiResult<Message<Me>> {
    let detail = "Other requests are changing your profile. Try again.";
    retry_on_conflict!(partner.app, detail, || {
        let before = load(&partner).await?;
        let mut profile = before.clone();
        update.against(&Me::new(profile.clone(), &partner.caller))?.apply(&mut profile);
        profile.updated_at = partner.now();
        profile.version += 1;
        let values = profile.note_identity_change(&before, partner.now());
        let mut writes = vec![partner.app.control.partner_write(&profile)?];
        if !values.is_empty() {
            // Administrators identify partners by these fields, and the new values are unverified.
            let fields: Vec<&'static str> = ["company", "email"]
                .into_iter()
                .filter(|name| values.iter().any(|it| it.field == *name))
                .collect();
            let change = Change::new("me.update", profile.id.as_str());
            let change = Change { fields: &fields, values: &values, ..change };
            let record = audit_change(&partner.app, &partner.call, "partner", change);
            writes.extend(partner.app.control.audit_writes(&record)?);
        }
        match partner.app.control.transact(writes).await {
            Ok(()) => {
                let data = Me::new(profile, &partner.caller);
                Ok(Some(Message { message: "Profile updated successfully", data }))
            }
            Err(control::Error::ConditionFailed) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

impl UpdateOf for UpdateMe {
    const READ_ONLY: &'static [&'static str] = &["id", "key"];
}

impl UpdateMe {
    fn apply(self, profile: &mut partners::Partner) {
        self.company.apply(&mut profile.company);
        self.contact_name.apply(&mut profile.contact_name);
        self.email.apply(&mut profile.email);
        self.phone.apply(&mut profile.phone);
        self.website.apply(&mut profile.website);
        self.notification_email.apply(&mut profile.notification_email);
    }
}
