//! Handles `POST /v1/admin/keys`.

use axum::http::StatusCode;
use jiff::Timestamp;
use shared::{
    api::{Admin, ApiError, ApiResult, Change, Code, Data, JsonAnswer, Once, Problem, Reading},
    auth::{
        KeyRecord, KeyTerms,
        api_key::{ApiKey, Mode},
    },
    body,
    control::partners::PartnerStatus,
    domain::{Scope, ids::PartnerId},
    text_field,
};

use super::{
    KeyRow, NewKey, PartnerIdText,
    terms::{KeyName, Network, Networks, RateLimit, expiry},
};
use crate::fields::{self, Scopes};

text_field! {
    /// The `PPass` of a registered practice.
    PracticeText, 1, 64
}

body! {
    pub struct CreateKey {
        "partnerId" => partner_id: PartnerIdText,
        "name" => name: KeyName,
        /// The practice that the key opens.
        #[schema(example = "DemoOffice")]
        "practicepass" => practicepass: PracticeText,
        /// Defaults to `Prospects`.
        #[schema(value_type = Option<Vec<Scope>>, min_items = 1)]
        "scopes" => scopes: Option<Scopes>,
        /// RFC 3339; null if the key does not expire.
        #[schema(value_type = Option<String>, format = "date-time")]
        "expiresAt" => expires_at: Option<Timestamp>,
        /// The networks from which the key can be used, at most 50; empty for no restriction.
        #[schema(value_type = Option<Vec<Network>>)]
        "allowedCidrs" => allowed_cidrs: Option<Networks>,
        /// Calls per minute. Defaults to 600.
        "rateLimit" => rate_limit: Option<RateLimit>,
    }
}

/// Create an API key for a partner.
///
/// `apiKey` is only in this response; the API stores only a hash of it. With an `Idempotency-Key`,
/// the response is stored encrypted for 24 hours; only an administrator's retry returns it.
#[utoipa::path(
    post,
    path = "/v1/admin/keys",
    tag = "Administration",
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response."
    )),
    request_body = CreateKey,
    responses(
        (status = 201, body = Data<NewKey>),
        (status = 409, body = Problem, description = "`PARTNER_SUSPENDED`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn create_key(
    admin: Admin,
    Once { body: request_body, key: once }: Once<Reading<CreateKey>>,
) -> ApiResult<JsonAnswer> {
    if let Some(answer) = admin.stored_response(&once).await? {
        return Ok(answer);
    }
    let (mode, terms) = validate(&admin, request_body).await?;
    let key = ApiKey::from_random(mode, &admin.app.random.bytes());
    let record = KeyRecord::new(&key, terms, admin.now());
    let write = admin.app.control.new_api_key_write(&record)?;
    let data = NewKey { api_key: key.reveal(), key: KeyRow::new(record, admin.now()) };
    let answer = JsonAnswer::new(StatusCode::CREATED, &Data { data })?;
    admin.commit_once(&once, Change::created("keys.create", key.id.as_str()), vec![write], answer).await
}

/// Validates the request and returns the terms of the key.
///
/// # Errors
/// 422 with every invalid field, or 409 if the partner is suspended.
async fn validate(admin: &Admin, request_body: Reading<CreateKey>) -> ApiResult<(Mode, KeyTerms)> {
    let mut errors = Vec::new();
    let partner = match request_body.peek::<PartnerIdText>("partnerId") {
        Some(id) => {
            let found = admin.app.control.partner(&PartnerId(id.0)).await?;
            found.ok_or_else(|| errors.push(fields::unknown("partnerId", "partner"))).ok()
        }
        None => None,
    };
    let practice = match request_body.peek::<PracticeText>("practicepass") {
        Some(text) => {
            let found = fields::practice(admin, &text.0).await?;
            found.ok_or_else(|| errors.push(fields::unknown("practicepass", "registered practice"))).ok()
        }
        None => None,
    };
    errors.extend(request_body.peek("expiresAt").and_then(|it| expiry(it, admin.now()).err()));
    let body = request_body.validated(errors)?;
    // Both fields are required and valid here.
    let (Some(partner), Some(practice)) = (partner, practice) else { return Err(ApiError::not_found()) };
    if partner.status == PartnerStatus::Suspended {
        return Err(ApiError::new(
            Code::PartnerSuspended,
            "This partner is suspended. Reactivate the partner first.",
        ));
    }
    let terms = KeyTerms {
        name: body.name.into(),
        partner_id: partner.id,
        partner: partner.company,
        practicepass: practice.practicepass,
        scopes: body.scopes.unwrap_or_default().into(),
        expires_at: body.expires_at,
        allowed_cidrs: body.allowed_cidrs.unwrap_or_default().into(),
        rate_limit: body.rate_limit.unwrap_or_default().0,
    };
    Ok((Mode::of(practice.sandbox), terms))
}
