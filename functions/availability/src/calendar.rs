//! What the questions about a provider's free time share.

use jiff::civil::Date;
use shared::{
    api::{ApiError, ApiResult, Code, Tenant, scope::Providers},
    domain::{ids::ProviderId, schedule::Calendar},
    tenant::calendar::{self, Found, Question},
    text_field,
};

text_field! {
    /// The name of a visit type.
    WantedVisitType, 1, 100
}

/// The provider's time over a range of dates, as a visit type sees it when one is given.
pub(crate) async fn read(
    tenant: &Tenant<Providers>,
    provider: ProviderId,
    visit_type: Option<&WantedVisitType>,
    dates: (Date, Date),
) -> ApiResult<Calendar> {
    let visit_type = visit_type.map(|it| it.0.as_str());
    let question = Question { provider, visit_type, dates, now: tenant.now, except: None };
    let mut conn = tenant.db.connection().await?;
    match calendar::read(&mut conn, tenant.db.time_zone(), &question).await? {
        Found::Calendar(calendar) => Ok(*calendar),
        Found::NoProvider => Err(ApiError::not_found()),
        Found::NoVisitType => {
            Err(ApiError::new(Code::VisitTypeUnknown, "The practice has no visit type of this name."))
        }
    }
}
