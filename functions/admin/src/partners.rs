//! Handles `/v1/admin/partners`.

mod access;
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

use access::{IdentityChangeRow, PartnerAccess};

params! {
    pub(crate) struct ListPartners {
        "limit" => limit: Option<Limit>,
        /// The `nextCursor` of the previous page.
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
    /// While the partner is `suspended`, none of its keys is accepted.
    status: PartnerStatus,
    /// RFC 3339, like the times below.
    created_at: String,
    updated_at: String,
    /// When the partner last changed its own company or e-mail; null if never.
    ///
    /// The new values are unverified.
    identity_changed_at: Option<String>,
}

/// A partner with its keys, practices and webhook subscriptions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartnerDetail {
    #[serde(flatten)]
    partner: PartnerRow,
    /// The partner's last ten changes to its own company and e-mail, newest first. The audit log
    /// has all of them.
    identity_changes: Vec<IdentityChangeRow>,
    #[serde(flatten)]
    access: PartnerAccess,
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
            identity_changed_at: partner.identity_changes.first().map(|it| it.time.to_string()),
        }
    }
}

/// List partners by company name.
///
/// Lists suspended partners, too. Their keys still exist but cannot get tokens.
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
/// Includes the partner's keys that are not revoked, the practices they open, its webhook
/// subscriptions, and its changes to its own company and e-mail. Check these before you give the
/// partner another key.
#[utoipa::path(
    get,
    path = "/v1/admin/partners/{id}",
    tag = "Administration",
    params(("id" = PartnerId, Path, description = "The partner's id")),
    responses(
        (status = 200, body = Data<PartnerDetail>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
    ),
)]
pub(crate) async fn get_partner(admin: Admin, PathText(id): PathText) -> ApiResult<Data<PartnerDetail>> {
    let partner = load(&admin, id).await?;
    Ok(Data { data: PartnerDetail::of(&admin, partner).await? })
}

impl PartnerDetail {
    async fn of(admin: &Admin, mut partner: Partner) -> ApiResult<Self> {
        let changes = std::mem::take(&mut partner.identity_changes);
        let access = access::of(admin, &partner.id).await?;
        let mut row = PartnerRow::from(partner);
        row.identity_changed_at = changes.first().map(|it| it.time.to_string());
        let identity_changes = changes.into_iter().map(IdentityChangeRow::from).collect();
        Ok(Self { partner: row, identity_changes, access })
    }
}

pub(crate) async fn load(admin: &Admin, id: String) -> ApiResult<Partner> {
    admin.app.control.partner(&PartnerId(id)).await?.ok_or_else(ApiError::not_found)
}
