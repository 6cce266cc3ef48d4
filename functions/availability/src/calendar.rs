//! Reads a provider's calendar for the availability endpoints.

use jiff::civil::Date;
use shared::{
    api::{ApiError, ApiResult, Code, Tenant, scope::Providers},
    domain::{
        ids::ProviderId,
        schedule::{Calendar, Minutes},
    },
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
    let query = query(tenant, provider, visit_type.as_deref(), dates);
    let mut conn = tenant.db.connection().await?;
    found(calendar::read(&mut conn, tenant.db.time_zone(), &query).await?)
}

/// Reads as much of the provider's calendar as it takes to find the first start for a visit.
///
/// # Errors
/// The same as for [`read`].
pub(crate) async fn read_first_free(
    tenant: &Tenant<Providers>,
    provider: ProviderId,
    visit_type: Option<&VisitTypeParam>,
    dates: (Date, Date),
    duration: Minutes,
) -> ApiResult<Calendar> {
    let visit_type = VisitTypeParam::stored(visit_type, tenant).await?;
    let query = query(tenant, provider, visit_type.as_deref(), dates);
    let mut conn = tenant.db.connection().await?;
    found(calendar::read_first_free(&mut conn, tenant.db.time_zone(), &query, duration).await?)
}

fn query<'a>(
    tenant: &Tenant<Providers>,
    provider: ProviderId,
    visit_type: Option<&'a str>,
    dates: (Date, Date),
) -> AvailabilityQuery<'a> {
    AvailabilityQuery { provider, visit_type, dates, now: tenant.now, except: None }
}

fn found(lookup: CalendarLookup) -> ApiResult<Calendar> {
    match lookup {
        CalendarLookup::Calendar(calendar) => Ok(*calendar),
        CalendarLookup::NoProvider => Err(ApiError::not_found()),
        CalendarLookup::NoVisitType => {
            Err(ApiError::new(Code::VisitTypeUnknown, "The practice has no visit type with this name."))
        }
    }
}
