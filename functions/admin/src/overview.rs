//! `GET /v1/admin/overview`

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;
use shared::{
    api::{Admin, ApiResult, Data, Days, Problem, Query, UsageSummary},
    domain::usage::Usage,
    params,
};
use utoipa::ToSchema;

/// So many endpoints are named.
const TOP: usize = 10;

params! {
    pub(crate) struct ShowOverview {
        /// How many days of UTC, today included.
        "days" => days: Option<Days>,
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    #[serde(flatten)]
    summary: UsageSummary,
    /// The endpoints with the most calls, at most ten.
    top_endpoints: Vec<EndpointUsage>,
    /// Several practices are served.
    #[schema(example = true)]
    multi_tenant: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointUsage {
    #[schema(example = "GET")]
    method: String,
    /// The route template; `unmatched` for paths that no route takes.
    #[schema(example = "/v1/{PPass}/prospects")]
    endpoint: String,
    calls: u64,
    errors: u64,
    avg_duration_ms: f64,
}

/// See how the API is used.
///
/// Every call counts, failed ones and administrators' too, and is seen within seconds of its answer. Days are those of UTC.
/// A call answered with a status below 400 is a success, every other one an error.
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
pub(crate) async fn show_overview(
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
    // Those with as many calls stay in the order of their names.
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
