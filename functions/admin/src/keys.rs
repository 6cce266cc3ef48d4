//! Handles `/v1/admin/keys`.

mod change;
pub(crate) mod create;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod terms;
pub(crate) mod update;

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{Admin, ApiResult, CursorPage, CursorParam, Limit, Problem, Query},
    auth::{KeyRecord, KeyStatus},
    domain::{
        PracticePass, Scope,
        ids::{KeyId, PartnerId},
    },
    params, text_field,
};
use utoipa::ToSchema;

text_field! {
    /// The id of a partner.
    PartnerIdText, 1, 64
}

params! {
    pub(crate) struct ListKeys {
        /// Lists only the keys of this partner.
        "partnerId" => partner_id: Option<PartnerIdText>,
        "limit" => limit: Option<Limit>,
        /// The `nextCursor` of the previous page.
        "cursor" => cursor: Option<CursorParam>,
    }
}

/// The status of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShownStatus {
    Active,
    Expired,
    Revoked,
}

/// An API key without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyRow {
    id: KeyId,
    name: String,
    partner_id: PartnerId,
    /// The partner's company.
    partner: String,
    practicepass: PracticePass,
    scopes: Vec<Scope>,
    /// The first characters of the key, which are not secret.
    #[schema(example = "op_live_4fTq8ZsK1aBc")]
    prefix: String,
    /// RFC 3339, like all times; null if the key was never used.
    last_used_at: Option<String>,
    status: ShownStatus,
    /// Null if the key does not expire.
    expires_at: Option<String>,
    /// The networks from which the key can be used; empty for no restriction.
    #[schema(value_type = Vec<String>)]
    allowed_cidrs: Vec<String>,
    /// Calls per minute.
    rate_limit: u32,
    created_at: String,
    /// When the previous secret expires after a rotation; null if there is none.
    previous_secret_until: Option<String>,
}

impl KeyRow {
    pub(crate) fn new(key: KeyRecord, now: Timestamp) -> Self {
        let status = match key.status {
            KeyStatus::Revoked => ShownStatus::Revoked,
            KeyStatus::Active if key.expires_at.is_some_and(|expiry| expiry <= now) => ShownStatus::Expired,
            KeyStatus::Active => ShownStatus::Active,
        };
        Self {
            id: key.id,
            name: key.name,
            partner_id: key.partner_id,
            partner: key.partner,
            practicepass: key.practicepass,
            scopes: key.scopes,
            prefix: key.prefix,
            last_used_at: key.last_used_at.map(|it| it.to_string()),
            status,
            expires_at: key.expires_at.map(|it| it.to_string()),
            allowed_cidrs: key.allowed_cidrs.iter().map(ToString::to_string).collect(),
            rate_limit: key.rate_limit,
            created_at: key.created_at.to_string(),
            previous_secret_until: key.previous.filter(|it| now < it.until).map(|it| it.until.to_string()),
        }
    }
}

/// An API key with its secret, which is shown only once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewKey {
    /// The complete key. It is not stored: give it to the partner now.
    #[schema(example = "op_live_4fTq8ZsK1aBc_…")]
    pub(crate) api_key: String,
    #[serde(flatten)]
    pub(crate) key: KeyRow,
}

/// List API keys, newest first.
///
/// The secret of a key is never shown again; its prefix identifies the key. With `partnerId`, a
/// page can be short or even empty although `hasMore` is true. Continue with `nextCursor`.
#[utoipa::path(
    get,
    path = "/v1/admin/keys",
    tag = "Administration",
    params(ListKeys),
    responses(
        (status = 200, body = CursorPage<KeyRow>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
    ),
)]
pub(crate) async fn list_keys(admin: Admin, Query(query): Query<ListKeys>) -> ApiResult<CursorPage<KeyRow>> {
    let limit = Limit::or_default(query.limit);
    let partner = query.partner_id.map(|id| PartnerId(id.0));
    let after = query.cursor.map(|cursor| cursor.0);
    let slice = admin.app.control.api_keys(partner.as_ref(), limit.items(), after.as_ref()).await?;
    let shown = |key| KeyRow::new(key, admin.now());
    Ok(CursorPage::new(slice.map(shown), limit))
}
