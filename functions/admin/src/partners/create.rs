//! Handles `POST /v1/admin/partners`.

use axum::http::StatusCode;
use shared::{
    api::{Admin, ApiResult, Change, Data, Email, JsonAnswer, Once, Phone, Problem, Website},
    body,
    control::partners::{Partner, PartnerStatus},
    domain::ids::PartnerId,
    text_field,
};

use super::PartnerRow;

text_field! { name PartnerCompany, 1, 200 }
text_field! { PartnerContact, 1, 200 }

body! {
    pub struct CreatePartner {
        "company" => company: PartnerCompany,
        "contactName" => contact_name: Option<PartnerContact>,
        "email" => email: Option<Email>,
        "phone" => phone: Option<Phone>,
        "website" => website: Option<Website>,
        "notificationEmail" => notification_email: Option<Email>,
    }
}

/// Register a partner.
///
/// The partner cannot use the API before it has a key. Create one with `POST /v1/admin/keys`.
#[utoipa::path(
    post,
    path = "/v1/admin/partners",
    tag = "Administration",
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response."
    )),
    request_body = CreatePartner,
    responses(
        (status = 201, body = Data<PartnerRow>),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn create_partner(
    admin: Admin,
    Once { body, key }: Once<CreatePartner>,
) -> ApiResult<JsonAnswer> {
    if let Some(answer) = admin.stored_response(&key).await? {
        return Ok(answer);
    }
    let now = admin.now();
    let partner = Partner {
        id: PartnerId::from_random(admin.app.random.bytes()),
        company: body.company.into(),
        contact_name: body.contact_name.map(String::from),
        email: body.email.map(String::from),
        phone: body.phone.map(String::from),
        website: body.website.map(String::from),
        notification_email: body.notification_email.map(String::from),
        status: PartnerStatus::Active,
        suspended_at: None,
        identity_changes: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let write = admin.app.control.partner_write(&partner)?;
    let id = partner.id.clone();
    let answer = JsonAnswer::new(StatusCode::CREATED, &Data { data: PartnerRow::from(partner) })?;
    admin.commit_once(&key, Change::created("partners.create", id.as_str()), vec![write], answer).await
}
