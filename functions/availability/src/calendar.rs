//! Reads a provider's calendar for the availability endpoints.

use jiff::civil::Date;
use shared::{
    api::{ApiError, ApiResult, Code, Tenant, scope::Providers},
    domain::{ids::ProviderId, schedule::Calendar},
    listed_text,
    tenant::{
        calendar::{self, AvailabilityQuery, CalendarLookup},
        visit_types,
    },
};

listed_text! {
    /// The name of a visit type, as `GET /v1/{PPass}/visit-types` returns it.
    VisitTypeParam
}

impl VisitTypeParam {
    /// Returns the visit type's name as the practice stores it.
    pub(crate) async fn stored(
        wanted: Option<&Self>,
        tenant: &Tenant<Providers>,
    ) -> ApiResult<Option<String>> {
        let Some(Self(name)) = wanted else { return Ok(None) };
        Ok(Some(visit_types::stored_name(&tenant.db, name).await?))
    }
}

/// Reads the provider's calendar for a range of dates, with the rules of the visit type, if given.
///
/// # Errors
/// 404 if the provider is unknown or inactive, 422 if the visit type is unknown.
pub(crate) async fn read(
    tenant: &Tenant<Providers>,
    provider: ProviderId,
    visit_type: Option<&VisitTypeParam>,
    dates: (Date, Date),
) -> ApiResult<Calendar> {
    let visit_type = VisitTypeParam::stored(visit_type, tenant).await?;
    let query = AvailabilityQuery {
        provider,
        visit_type: visit_type.as_deref(),
        dates,
        now: tenant.now,
        except: None,
    };
    let mut conn = tenant.db.connection().await?;
    match calendar::read(&mut conn, tenant.db.time_zone(), &query).await? {
        CalendarLookup::Calendar(calendar) => Ok(*calendar),
        CalendarLookup::NoProvider => Err(ApiError::not_found()),
        CalendarLookup::NoVisitType => {
            Err(ApiError::new(Code::VisitTypeUnknown, "The practice has no visit type with this name."))
        }
    }
}
