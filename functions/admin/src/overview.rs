//! Handles `GET /v1/admin/overview`.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;
use shared::{
    api::{Admin, ApiResult, Data, Problem, Query},
    domain::usage::Usage,
    params,
    usage_report::{Days, UsageSummary},
};
use utoipa::ToSchema;

/// Maximum number of endpoints in the overview.
const TOP: usize = 10;

params! {
    pub(crate) struct ShowOverview {
        /// Number of days in UTC, today included.
        "days" => days: Option<Days>,
    }
}

/// The usage of the API.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    #[serde(flatten)]
    summary: UsageSummary,
    /// The endpoints with the most calls, at most ten.
    top_endpoints: Vec<EndpointUsage>,
    /// Whether the API serves several practices; always true.
    #[schema(example = true)]
    multi_tenant: bool,
}

/// The usage of an endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointUsage {
    #[schema(example = "GET")]
    method: String,
    /// The route template; `unmatched` for paths without a route.
    #[schema(example = "/v1/{PPass}/prospects")]
    endpoint: String,
    calls: u64,
    errors: u64,
    avg_duration_ms: f64,
}

/// Get the usage of the API.
///
/// Counts all calls, including failed ones and those of administrators. A call is counted within
/// seconds of its response. Days are in UTC. A call with a status below 400 is a success, every
/// other call an error.
#[utoipa::path(
    get,
    path = "/v1/admin/overview",
    tag = "Administration",
    params(ShowOverview),
    responses(
        (status = 200, body = Data<Overview>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
    ),
)]
pub(crate) async fn get_overview(
    admin: Admin,
    Query(query): Query<ShowOverview>,
) -> ApiResult<Data<Overview>> {
    let mut days: Vec<(Date, Usage)> = Vec::new();
    let mut endpoints: BTreeMap<(String, String), Usage> = BTreeMap::new();
    let wanted = Days::until(query.days, admin.now());
    for (date, routes) in admin.app.control.usage_of_days(wanted).await? {
        let mut day = Usage::default();
        for route in routes {
            day.add(&route.usage);
            endpoints.entry((route.endpoint, route.method)).or_default().add(&route.usage);
        }
        days.push((date, day));
    }
    let data =
        Overview { summary: UsageSummary::of(&days), top_endpoints: top(endpoints), multi_tenant: true };
    Ok(Data { data })
}

fn top(endpoints: BTreeMap<(String, String), Usage>) -> Vec<EndpointUsage> {
    let mut endpoints: Vec<_> = endpoints.into_iter().collect();
    // The sort is stable: endpoints with equal numbers of calls stay ordered by name.
    endpoints.sort_by_key(|(_, usage)| std::cmp::Reverse(usage.calls));
    endpoints.truncate(TOP);
    endpoints
        .into_iter()
        .map(|((endpoint, method), usage)| EndpointUsage {
            method,
            endpoint,
            calls: usage.calls,
            errors: usage.errors(),
            avg_duration_ms: usage.average_ms(),
        })
        .collect()
}
