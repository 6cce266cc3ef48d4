//! `GET /v1/admin/activity`

mod csv;
mod filters;

use axum::{
    Json,
    http::{HeaderMap, header::ACCEPT},
    response::{IntoResponse, Response},
};
use jiff::SignedDuration;
use serde::Serialize;
use shared::{
    api::{Admin, ApiError, ApiResult, Code, CursorPagination, FieldError, Problem, Query, fit},
    control::activity::{ActivityFilter, CallRecord, Cursor, KEPT},
    params, text_field,
};
use utoipa::ToSchema;

use filters::{ActivityCursor, ActivityLimit, Format, Instant, Ip, Method, Status};

/// Rows of one JSON page.
const MOST_ROWS: i64 = 100;
/// Rows of a CSV page; it ends earlier when it is full.
const MOST_CSV_ROWS: i64 = 5_000;

text_field! {
    /// What a field of the records must be, exactly.
    FilterText, 1, 200
}

params! {
    pub(crate) struct ListActivity {
        /// Calls with this method.
        "method" => method: Option<Method>,
        /// A status, all of a hundred, or `errors`: 400 and above.
        #[param(example = "4xx")]
        "status" => status: Option<Status>,
        /// The route template.
        #[param(example = "/v1/{PPass}/prospects")]
        "endpoint" => endpoint: Option<FilterText>,
        /// A partner's id or name.
        "partner" => partner: Option<FilterText>,
        /// A key's id or name.
        "key" => key: Option<FilterText>,
        /// Calls with keys of this practice.
        "practicepass" => practicepass: Option<FilterText>,
        /// Calls from this address.
        "ip" => ip: Option<Ip>,
        /// From this instant (RFC 3339) or day of UTC; 90 days ago by default.
        "from" => from: Option<Instant>,
        /// Before this instant or day of UTC; now by default.
        "to" => to: Option<Instant>,
        /// Of one call; the fastest way to it.
        "requestId" => request_id: Option<FilterText>,
        /// 1 to 100, 25 by default; for CSV up to 5,000, which is also its default.
        "limit" => limit: Option<ActivityLimit>,
        /// `nextCursor` of the page before.
        "cursor" => cursor: Option<ActivityCursor>,
        /// `csv` is the same as `Accept: text/csv`.
        "format" => format: Option<Format>,
    }
}

/// One call.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityRow {
    /// RFC 3339, to the millisecond.
    #[schema(example = "2026-03-09T14:00:00.123Z")]
    time: String,
    #[schema(example = "GET")]
    method: String,
    /// The route template, never the path; `unmatched` for paths that no route takes.
    #[schema(example = "/v1/{PPass}/tags")]
    endpoint: String,
    status: u16,
    duration_ms: u64,
    /// Null for a call without a valid token or key.
    partner: Option<String>,
    /// `admin` for an administrator's.
    key_name: Option<String>,
    practicepass: Option<String>,
    ip: Option<String>,
    request_id: String,
    /// The id of an API key that was offered and refused; null for other calls. It may belong to nobody.
    attempted_key_id: Option<String>,
}

impl From<CallRecord> for ActivityRow {
    fn from(record: CallRecord) -> Self {
        Self {
            time: format!("{:.3}", record.time),
            method: record.method,
            endpoint: record.endpoint,
            status: record.status,
            duration_ms: record.duration_ms,
            partner: record.partner,
            key_name: record.key_name,
            practicepass: record.practicepass,
            ip: record.ip,
            request_id: record.request_id,
            attempted_key_id: record.attempted_key_id,
        }
    }
}

/// Calls, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Activity {
    #[serde(serialize_with = "fit::rows")]
    data: Vec<ActivityRow>,
    /// On this page.
    count: usize,
    pagination: CursorPagination,
}

/// List the calls of the last 90 days, the newest first.
///
/// All filters that are given must hold. A page looks at a bounded number of calls: with a filter that few calls pass it can
/// be short, even empty, while `hasMore` is true; `nextCursor` goes on from there. Ask with `Accept: text/csv` (or
/// `format=csv`) for a file (RFC 4180) of up to 5,000 rows and 1 MB; when there are more, the header `X-Next-Cursor` holds the
/// `cursor` of the next file. Text that a spreadsheet would take for a formula begins with an apostrophe there.
#[utoipa::path(
    get,
    path = "/v1/admin/activity",
    tag = "Administration",
    params(ListActivity),
    responses(
        (status = 200, content((Activity = "application/json"), (String = "text/csv")),
         headers(("X-Next-Cursor" = String, description = "CSV only: `cursor` of the next file; absent on the last one"))),
        (status = 400, body = Problem, description = "`INVALID_QUERY`"),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
    ),
)]
pub(crate) async fn list_activity(
    admin: Admin,
    Query(query): Query<ListActivity>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let csv = match query.format {
        Some(format) => format == Format::Csv,
        None => headers.get(ACCEPT).and_then(|it| it.to_str().ok()).is_some_and(prefers_csv),
    };
    let (usual, most) = if csv { (MOST_CSV_ROWS, MOST_CSV_ROWS) } else { (25, MOST_ROWS) };
    let limit = query.limit.map_or(usual, |limit| limit.0);
    if !(1..=most).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {most}")));
    }
    let now = admin.now();
    let oldest = now - KEPT;
    let newest = now + SignedDuration::from_secs(1);
    let from = query.from.map_or(oldest, |from| from.0);
    let to = query.to.map_or(newest, |to| to.0);
    if from >= to {
        return Err(invalid("to", "must be later than 'from'".to_owned()));
    }
    let after = query.cursor.map(|cursor| cursor.0);
    let filter = ActivityFilter {
        method: query.method.map(|method| method.0.to_owned()),
        status: query.status.map(|status| status.0),
        endpoint: query.endpoint.map(String::from),
        partner: query.partner.map(String::from),
        key: query.key.map(String::from),
        practicepass: query.practicepass.map(String::from),
        ip: query.ip.map(|ip| ip.0.to_string()),
        request_id: query.request_id.map(String::from),
    };
    let wanted = usize::try_from(limit).unwrap_or_default();
    let period = (from.max(oldest), to.min(newest));
    let page = admin.app.control.search_calls(&filter, period, wanted, after.as_ref()).await?;
    let positions: Vec<Cursor> = page.records.iter().map(Cursor::after).collect();
    let rows: Vec<ActivityRow> = page.records.into_iter().map(ActivityRow::from).collect();
    let next_cursor = page.next.map(|cursor| cursor.to_text());
    if csv {
        let (lines, shown) = csv::lines(&rows);
        let full = (shown < rows.len()).then(|| positions[shown - 1].to_text());
        return Ok(csv::file(&lines, full.or(next_cursor)));
    }
    let pagination = CursorPagination { limit, has_more: next_cursor.is_some(), next_cursor };
    Ok(Json(Activity { count: rows.len(), data: rows, pagination }).into_response())
}

/// Whether CSV is named before JSON.
fn prefers_csv(accept: &str) -> bool {
    let types = accept.split(',').filter_map(|it| it.split(';').next()).map(str::trim);
    types.into_iter().find(|it| ["text/csv", "application/json"].contains(it)) == Some("text/csv")
}

fn invalid(name: &str, message: String) -> ApiError {
    ApiError::new(Code::InvalidQuery, "See 'errors' for every parameter that needs a change.")
        .with_errors(FieldError { location: format!("query.{name}"), code: "INVALID_VALUE", message })
}
