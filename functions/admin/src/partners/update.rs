//! `PATCH /v1/admin/partners/{id}`: JSON merge patch (RFC 7396).

use shared::{
    api::{
        Admin, ApiResult, Body, Change, Data, Email, FieldProblem, FieldValue, Patch, PathText, Phone,
        Problem, Replace, Source, Website,
    },
    body,
    control::partners::PartnerStatus,
    domain::ids::PartnerId,
};
use utoipa::ToSchema;

use super::{
    PartnerRow,
    create::{PartnerCompany, PartnerContact},
    load,
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

body! {
    /// Absent keeps, null clears. `company` and `status` can't be cleared.
    pub struct UpdatePartner {
        #[schema(value_type = PartnerCompany, required = false)]
        "company" => company: Replace<PartnerCompany>,
        #[schema(value_type = Option<PartnerContact>, required = false)]
        "contactName" => contact_name: Patch<PartnerContact>,
        #[schema(value_type = Option<Email>, required = false)]
        "email" => email: Patch<Email>,
        #[schema(value_type = Option<Phone>, required = false)]
        "phone" => phone: Patch<Phone>,
        #[schema(value_type = Option<Website>, required = false)]
        "website" => website: Patch<Website>,
        #[schema(value_type = Option<Email>, required = false)]
        "notificationEmail" => notification_email: Patch<Email>,
        #[schema(value_type = NewStatus, required = false)]
        "status" => status: Replace<NewStatus>,
    }
}

impl UpdatePartner {
    /// The names of the fields that are given.
    fn fields(&self) -> Vec<&'static str> {
        let given = [
            ("company", self.company.0.is_some()),
            ("contactName", !self.contact_name.is_absent()),
            ("email", !self.email.is_absent()),
            ("phone", !self.phone.is_absent()),
            ("website", !self.website.is_absent()),
            ("notificationEmail", !self.notification_email.is_absent()),
            ("status", self.status.0.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// Change a partner, suspend it or let it in again.
///
/// A suspended partner's keys get no more tokens at once, and the tokens they have die within a minute.
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
    Body(change): Body<UpdatePartner>,
) -> ApiResult<Data<PartnerRow>> {
    let mut partner = load(&admin, id).await?;
    let fields = change.fields();
    if let Some(company) = change.company.0 {
        partner.company = company.into();
    }
    if let Some(NewStatus(status)) = change.status.0 {
        partner.status = status;
    }
    change.contact_name.apply(&mut partner.contact_name);
    change.email.apply(&mut partner.email);
    change.phone.apply(&mut partner.phone);
    change.website.apply(&mut partner.website);
    change.notification_email.apply(&mut partner.notification_email);
    if !fields.is_empty() {
        partner.updated_at = admin.now();
        partner.version += 1;
        let write = admin.app.control.save_partner(&partner)?;
        let change = Change { action: "partners.update", target: partner.id.as_str(), fields: &fields };
        admin.commit(change, vec![write]).await?;
    }
    Ok(Data { data: partner.into() })
}
