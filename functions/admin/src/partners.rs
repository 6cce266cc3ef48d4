//! `/v1/admin/partners`

pub(crate) mod create;
pub(crate) mod update;

use serde::Serialize;
use shared::{
    api::{Admin, ApiError, ApiResult, CursorPage, CursorParam, Data, Limit, PathText, Problem, Query},
    control::partners::{Partner, PartnerStatus},
    domain::ids::PartnerId,
    params,
};
use utoipa::ToSchema;

params! {
    pub(crate) struct ListPartners {
        "limit" => limit: Option<Limit>,
        /// `nextCursor` of the page before.
        "cursor" => cursor: Option<CursorParam>,
    }
}

/// A partner company.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartnerRow {
    id: PartnerId,
    company: String,
    contact_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    website: Option<String>,
    notification_email: Option<String>,
    /// While `suspended`, none of the partner's keys is accepted.
    status: PartnerStatus,
    /// RFC 3339, likewise below.
    created_at: String,
    updated_at: String,
}

impl From<Partner> for PartnerRow {
    fn from(partner: Partner) -> Self {
        Self {
            id: partner.id,
            company: partner.company,
            contact_name: partner.contact_name,
            email: partner.email,
            phone: partner.phone,
            website: partner.website,
            notification_email: partner.notification_email,
            status: partner.status,
            created_at: partner.created_at.to_string(),
            updated_at: partner.updated_at.to_string(),
        }
    }
}

/// List the partners by company name.
///
/// Suspended ones too: their keys get no tokens, and are kept.
#[utoipa::path(
    get,
    path = "/v1/admin/partners",
    tag = "Administration",
    params(ListPartners),
    responses(
        (status = 200, body = CursorPage<PartnerRow>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
    ),
)]
pub(crate) async fn list_partners(
    admin: Admin,
    Query(query): Query<ListPartners>,
) -> ApiResult<CursorPage<PartnerRow>> {
    let limit = Limit::or_default(query.limit);
    let after = query.cursor.map(|cursor| cursor.0);
    let slice = admin.app.control.partners(limit.items(), after.as_ref()).await?;
    Ok(CursorPage::new(slice, limit))
}

/// Get a partner.
///
/// Its keys are listed by `GET /v1/admin/keys?partnerId=`.
#[utoipa::path(
    get,
    path = "/v1/admin/partners/{id}",
    tag = "Administration",
    params(("id" = PartnerId, Path, description = "The partner's id")),
    responses(
        (status = 200, body = Data<PartnerRow>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_partner(admin: Admin, PathText(id): PathText) -> ApiResult<Data<PartnerRow>> {
    Ok(Data { data: load(&admin, id).await?.into() })
}

pub(crate) async fn load(admin: &Admin, id: String) -> ApiResult<Partner> {
    admin.app.control.partner(&PartnerId(id)).await?.ok_or_else(ApiError::not_found)
}
