//! Handles `GET /v1/me`.

use serde::Serialize;
use shared::{
    api::{ApiResult, Data, Partner},
    auth::Caller,
    control::partners,
    domain::{PracticePass, Scope, ids::PartnerId},
};
use utoipa::ToSchema;

/// Your company and the API key that your token comes from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    id: PartnerId,
    company: String,
    contact_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    website: Option<String>,
    notification_email: Option<String>,
    key: MyKey,
}

/// What the API key permits; never the key itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MyKey {
    name: String,
    practicepass: PracticePass,
    scopes: Vec<Scope>,
    /// Calls per minute.
    rate_limit: u32,
    /// RFC 3339; null if the key does not expire.
    expires_at: Option<String>,
}

impl Me {
    pub(crate) fn new(partner: partners::Partner, caller: &Caller) -> Self {
        Self {
            id: partner.id,
            company: partner.company,
            contact_name: partner.contact_name,
            email: partner.email,
            phone: partner.phone,
            website: partner.website,
            notification_email: partner.notification_email,
            key: MyKey {
                name: caller.key_name.clone(),
                practicepass: caller.practicepass.clone(),
                scopes: caller.scopes.clone(),
                rate_limit: caller.rate_limit,
                expires_at: caller.key_expires_at.map(|it| it.to_string()),
            },
        }
    }
}

/// Get your partner profile details.
///
/// Includes the scopes and limits of the API key that your token comes from, but no secret.
#[utoipa::path(get, path = "/v1/me", tag = "My Information", responses((status = 200, body = Data<Me>)))]
pub(crate) async fn get_me(partner: Partner) -> ApiResult<Data<Me>> {
    let profile = load(&partner).await?;
    Ok(Data { data: Me::new(profile, &partner.caller) })
}

/// Loads the partner's record.
///
/// # Errors
/// 401 if the partner no longer exists.
pub(crate) async fn load(partner: &Partner) -> ApiResult<partners::Partner> {
    let found = partner.app.control.partner(&partner.caller.partner_id).await?;
    found.ok_or_else(shared::api::ApiError::unauthenticated)
}
