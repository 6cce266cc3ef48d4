//! Handles `GET /v1/me/usage`.

use std::collections::BTreeMap;

use jiff::civil::Date;
use shared::{
    api::{ApiResult, Data, Partner, Problem, Query},
    domain::usage::Usage,
    params,
    usage_report::{Days, UsageSummary},
};

params! {
    pub(crate) struct ShowUsage {
        /// Number of days in UTC, today included.
        "days" => days: Option<Days>,
    }
}

/// Get your usage of the API.
///
/// Counts all calls with your keys and their tokens. A call is counted within seconds of its
/// response. Days are in UTC. A call with a status below 400 is a success, every other call an
/// error.
#[utoipa::path(
    get,
    path = "/v1/me/usage",
    tag = "My Information",
    params(ShowUsage),
    responses(
        (status = 200, body = Data<UsageSummary>),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
    ),
)]
pub(crate) async fn get_usage(
    partner: Partner,
    Query(query): Query<ShowUsage>,
) -> ApiResult<Data<UsageSummary>> {
    let mut days: BTreeMap<Date, Usage> =
        Days::until(query.days, partner.now()).into_iter().map(|day| (day, Usage::default())).collect();
    if let (Some(first), Some(last)) = (days.keys().next().copied(), days.keys().last().copied()) {
        let id = &partner.caller.partner_id;
        for key in partner.app.control.usage_of_partner(id, first, last).await? {
            days.entry(key.day).or_default().add(&key.usage);
        }
    }
    let days: Vec<(Date, Usage)> = days.into_iter().collect();
    Ok(Data { data: UsageSummary::of(&days) })
}
