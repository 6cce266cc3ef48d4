//! Handles `GET /v1/{PPass}/availability/providers` and `…/{id}`.

use serde::Serialize;
use shared::{
    api::{
        ApiError, ApiResult, Data, List, MOST_LISTED, Offset, PathId, PracticePath, Problem, Query, Tenant,
        scope::Providers,
    },
    domain::ids::ProviderId,
    params,
    tenant::providers::{self, Provider},
};
use utoipa::ToSchema;

params! {
    pub(crate) struct ListProviders {
        /// Number of providers to skip. A response holds at most 1,000.
        "offset" => offset: Option<Offset>,
    }
}

/// A provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderBody {
    id: ProviderId,
    #[schema(example = "Jane Smith")]
    name: String,
    #[schema(example = "PA-C")]
    title: Option<String>,
    #[schema(example = "Aesthetics")]
    specialty: Option<String>,
}

impl From<Provider> for ProviderBody {
    fn from(it: Provider) -> Self {
        Self { id: it.provider_id, name: it.name, title: it.title, specialty: it.specialty }
    }
}

/// List all active providers.
///
/// Ordered by id. Inactive providers are left out; other endpoints treat them as unknown.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers",
    tag = "Providers",
    params(PracticePath, ListProviders),
    responses(
        (status = 200, body = List<ProviderBody>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
    ),
)]
pub(crate) async fn list_providers(
    tenant: Tenant<Providers>,
    Query(query): Query<ListProviders>,
) -> ApiResult<List<ProviderBody>> {
    let offset = query.offset.unwrap_or_default();
    let mut conn = tenant.db.connection().await?;
    let found = providers::list(&mut conn, MOST_LISTED + 1, offset.0).await?;
    Ok(List::after(offset, found.into_iter().map(ProviderBody::from).collect()))
}

/// Get specific provider details.
///
/// Returns 404 for an inactive provider, as for an unknown one.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/availability/providers/{id}",
    tag = "Providers",
    params(PracticePath, ("id" = ProviderId, Path, description = "The provider's id")),
    responses(
        (status = 200, body = Data<ProviderBody>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the provider is unknown or inactive"),
    ),
)]
pub(crate) async fn get_provider(
    tenant: Tenant<Providers>,
    PathId(id): PathId<ProviderId>,
) -> ApiResult<Data<ProviderBody>> {
    let mut conn = tenant.db.connection().await?;
    let provider = providers::find(&mut conn, id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Data { data: provider.into() })
}
