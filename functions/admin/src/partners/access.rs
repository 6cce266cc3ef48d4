//! A partner's current access, shown to an administrator before more is granted.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::{
    api::{Admin, ApiResult},
    auth::KeyStatus,
    control::{audit::FieldChange, partners, subscriptions::SubscriptionState},
    domain::{
        PracticePass, Scope,
        ids::{KeyId, PartnerId, SubscriptionId},
    },
};
use utoipa::ToSchema;

/// Maximum number of keys to show; `GET /v1/admin/keys?partnerId=` lists all.
const MOST_KEYS: usize = 50;

/// A change that a partner made to its company or e-mail.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityChangeRow {
    /// RFC 3339.
    time: String,
    changes: Vec<FieldChange>,
}

impl From<partners::IdentityChange> for IdentityChangeRow {
    fn from(change: partners::IdentityChange) -> Self {
        Self { time: change.time.to_string(), changes: change.changes }
    }
}

/// A key that is not revoked.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldKey {
    id: KeyId,
    name: String,
    practicepass: PracticePass,
    scopes: Vec<Scope>,
    /// RFC 3339; may be in the past. Null if the key does not expire.
    expires_at: Option<String>,
}

/// A webhook subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldSubscription {
    id: SubscriptionId,
    practicepass: PracticePass,
    hook_url: String,
    /// A suspended subscription resumes when the partner gets a key for its practice.
    status: SubscriptionState,
}

/// The keys, practices and webhook subscriptions of a partner.
#[derive(Serialize, ToSchema)]
pub(crate) struct PartnerAccess {
    /// Keys that are not revoked, by practice and name; the newest 50 at most.
    keys: Vec<HeldKey>,
    /// The practices that these keys open.
    practices: Vec<PracticePass>,
    /// Webhook subscriptions in these practices and in those that revoked keys opened.
    subscriptions: Vec<HeldSubscription>,
}

pub(super) async fn of(admin: &Admin, partner: &PartnerId) -> ApiResult<PartnerAccess> {
    let control = &admin.app.control;
    let found = control.keys_held_by(partner, MOST_KEYS).await?;
    let mut practices: Vec<PracticePass> = found.iter().map(|key| key.practicepass.clone()).collect();
    practices.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    practices.dedup();
    let revoked = control.keys_revoked_of(partner, MOST_KEYS).await?;
    let all = found.iter().chain(&revoked).map(|key| (key.practicepass.as_str(), &key.practicepass));
    let all: BTreeMap<&str, &PracticePass> = all.collect();
    let mut subscriptions = Vec::new();
    for practicepass in all.into_values() {
        if let Some(it) = control.subscription(practicepass, partner).await? {
            let access = admin.app.partner_access(practicepass, partner).await?;
            let status = it.shown_status(&it.suspended_scopes(&access, admin.now()));
            subscriptions.push(HeldSubscription {
                id: it.id,
                practicepass: practicepass.clone(),
                hook_url: it.hook_url.as_str().to_owned(),
                status,
            });
        }
    }
    let is_held = |key: &shared::auth::KeyRecord| key.status == KeyStatus::Active;
    let keys = found.into_iter().filter(is_held).map(|key| HeldKey {
        id: key.id,
        name: key.name,
        practicepass: key.practicepass,
        scopes: key.scopes,
        expires_at: key.expires_at.map(|at| at.to_string()),
    });
    let mut keys: Vec<HeldKey> = keys.collect();
    keys.sort_by(|one, other| {
        (one.practicepass.as_str(), &one.name).cmp(&(other.practicepass.as_str(), &other.name))
    });
    Ok(PartnerAccess { keys, practices, subscriptions })
}
