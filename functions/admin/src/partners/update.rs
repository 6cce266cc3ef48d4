//! Handles `PATCH /v1/admin/partners/{id}`: a JSON merge patch (RFC 7396).

use jiff::Timestamp;
use shared::{
    api::{
        Admin, ApiResult, Body, Change, Data, Email, FieldProblem, FieldValue, PartialUpdate as _, PathText,
        Phone, Problem, Source, Update, UpdateOf, Website,
    },
    control::{
        self,
        audit::FieldChange,
        partners::{Partner, PartnerStatus},
    },
    domain::ids::PartnerId,
    patch, retry_on_conflict,
};
use utoipa::ToSchema;

use super::{
    PartnerDetail, PartnerRow,
    create::{PartnerCompany, PartnerContact},
};

/// Whether the partner's keys are accepted.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = PartnerStatus)]
pub(crate) struct NewStatus(PartnerStatus);

impl FieldValue for NewStatus {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source.text()? {
            "active" => Ok(Self(PartnerStatus::Active)),
            "suspended" => Ok(Self(PartnerStatus::Suspended)),
            _ => Err(FieldProblem::invalid("must be active or suspended")),
        }
    }
}

patch! {
    /// The fields to change. An absent field keeps its value; null clears it.
    ///
    /// `company` and `status` cannot be cleared.
    #[derive(Clone)]
    pub struct UpdatePartner {
        "company" => company: Replace<PartnerCompany>,
        "contactName" => contact_name: Patch<PartnerContact>,
        "email" => email: Patch<Email>,
        "phone" => phone: Patch<Phone>,
        "website" => website: Patch<Website>,
        "notificationEmail" => notification_email: Patch<Email>,
        "status" => status: Replace<NewStatus>,
    }
}

impl UpdateOf for UpdatePartner {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "createdAt",
        "updatedAt",
        "identityChangedAt",
        "identityChanges",
        "keys",
        "practices",
        "subscriptions",
    ];
}

impl UpdatePartner {
    fn apply(self, partner: &mut Partner, now: Timestamp) {
        self.company.apply(&mut partner.company);
        if let Some(NewStatus(status)) = self.status.0 {
            partner.set_status(status, now);
        }
        self.contact_name.apply(&mut partner.contact_name);
        self.email.apply(&mut partner.email);
        self.phone.apply(&mut partner.phone);
        self.website.apply(&mut partner.website);
        self.notification_email.apply(&mut partner.notification_email);
    }
}

/// Change, suspend or reactivate a partner.
///
/// The keys of a suspended partner can no longer get tokens. Within a minute, its tokens and portal
/// sessions end and its webhooks stop; its open claim links also end. Reactivating the partner
/// restores keys, tokens and webhooks, but not sessions and claim links.
#[utoipa::path(
    patch,
    path = "/v1/admin/partners/{id}",
    tag = "Administration",
    params(("id" = PartnerId, Path, description = "The partner's id")),
    request_body = UpdatePartner,
    responses(
        (status = 200, body = Data<PartnerRow>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`CONCURRENT_CHANGE`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`"),
    ),
)]
pub(crate) async fn update_partner(
    admin: Admin,
    PathText(id): PathText,
    Body(update): Body<Update<UpdatePartner>>,
) -> ApiResult<Data<PartnerRow>> {
    let detail = "Other requests are changing this partner. Try again.";
    retry_on_conflict!(admin.app, detail, || {
        let partner = admin.app.control.partner(&PartnerId(id.clone())).await?;
        let mut partner = partner.ok_or_else(|| update.of_nothing())?;
        let change = update.against(&PartnerDetail::of(&admin, partner.clone()).await?)?;
        let fields = change.given();
        if fields.is_empty() {
            return Ok(Some(Data { data: partner.into() }));
        }
        let before = partner.status;
        change.apply(&mut partner, admin.now());
        partner.updated_at = admin.now();
        partner.version += 1;
        let write = admin.app.control.partner_write(&partner)?;
        let values = status_change(before, partner.status);
        let act = Change { fields: &fields, values: &values, ..Change::new("partners.update", &id) };
        match admin.commit(act, vec![write]).await {
            Ok(()) => {
                admin.app.keys.forget_partner(&partner.id);
                Ok(Some(Data { data: partner.into() }))
            }
            Err(control::Error::ConditionFailed) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

/// Returns the status change, if any.
///
/// After a restore from backup, the audit log must distinguish a suspension from a reactivation.
fn status_change(before: PartnerStatus, after: PartnerStatus) -> Vec<FieldChange> {
    let text = |status| {
        Some(match status {
            PartnerStatus::Active => "active".to_owned(),
            PartnerStatus::Suspended => "suspended".to_owned(),
        })
    };
    let change = FieldChange { field: "status".to_owned(), from: text(before), to: text(after) };
    Vec::from_iter((before != after).then_some(change))
}
