//! Handles `GET /v1/admin/activity`.

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
    control::{
        Cursor,
        activity::{ActivityFilter, CallRecord, RETENTION},
    },
    params, text_field,
};
use utoipa::ToSchema;

use filters::{ActivityCursor, ActivityLimit, Format, Instant, Ip, Method, Status};

/// Maximum number of rows in a JSON page.
const MOST_ROWS: i64 = 100;
/// Maximum number of rows in a CSV file, which also has a maximum size.
const MOST_CSV_ROWS: i64 = 5_000;

text_field! {
    /// The exact value of a field.
    FilterText, 1, 200
}

params! {
    pub(crate) struct ListActivity {
        /// Lists only calls with this method.
        "method" => method: Option<Method>,
        /// A status such as `404`, a class such as `4xx`, or `errors` for 400 and above.
        #[param(example = "4xx")]
        "status" => status: Option<Status>,
        /// A route template.
        #[param(example = "/v1/{PPass}/prospects")]
        "endpoint" => endpoint: Option<FilterText>,
        /// A partner's id or name.
        "partner" => partner: Option<FilterText>,
        /// A key's id or name.
        "key" => key: Option<FilterText>,
        /// Lists only calls with keys of this practice.
        "practicepass" => practicepass: Option<FilterText>,
        /// Lists only calls from this IP address.
        "ip" => ip: Option<Ip>,
        /// Lists calls from this instant (RFC 3339) or UTC date on. Defaults to 90 days ago.
        "from" => from: Option<Instant>,
        /// Lists calls before this instant (RFC 3339) or UTC date. Defaults to now.
        "to" => to: Option<Instant>,
        /// The request id of a call. This is the fastest way to find a call.
        "requestId" => request_id: Option<FilterText>,
        /// 1 to 100, by default 25. For CSV, 1 to 5,000, by default 5,000.
        "limit" => limit: Option<ActivityLimit>,
        /// The `nextCursor` of the previous page.
        "cursor" => cursor: Option<ActivityCursor>,
        /// `csv` is equivalent to `Accept: text/csv`.
        "format" => format: Option<Format>,
    }
}

/// A call of the API.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityRow {
    /// RFC 3339, to the millisecond.
    #[schema(example = "2026-03-09T14:00:00.123Z")]
    time: String,
    #[schema(example = "GET")]
    method: String,
    /// The route template, never the path; `unmatched` for a path without a route.
    #[schema(example = "/v1/{PPass}/tags")]
    endpoint: String,
    status: u16,
    duration_ms: u64,
    /// Null for a call without a valid token or key.
    partner: Option<String>,
    /// The name of the key; `admin` for a call by an administrator.
    key_name: Option<String>,
    practicepass: Option<String>,
    ip: Option<String>,
    request_id: String,
    /// The id in a rejected API key, which may not exist; null for other calls.
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

/// A page of calls, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Activity {
    #[serde(serialize_with = "fit::rows")]
    data: Vec<ActivityRow>,
    /// Number of calls on this page.
    count: usize,
    pagination: CursorPagination,
}

/// List the calls of the last 90 days, newest first.
///
/// A call must match every filter. The search for a page is limited to a number of calls: with a
/// filter that few calls match, a page can be short or even empty although `hasMore` is true.
/// Continue with `nextCursor`.
///
/// `Accept: text/csv` or `format=csv` returns a CSV file (RFC 4180) of up to 5,000 rows and 1 MB.
/// If there are more rows, the header `X-Next-Cursor` contains the `cursor` of the next file. In
/// the file, text that a spreadsheet would evaluate as a formula starts with an apostrophe.
#[utoipa::path(
    get,
    path = "/v1/admin/activity",
    tag = "Administration",
    params(ListActivity),
    responses(
        (status = 200, content((Activity = "application/json"), (String = "text/csv")),
         headers(("X-Next-Cursor" = String,
             description = "CSV only: the `cursor` of the next file; absent from the last one"))),
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
    let oldest = now - RETENTION;
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
    let positions: Vec<Cursor> = page.records.iter().map(Cursor::after_call).collect();
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

/// Whether the header names CSV before JSON.
fn prefers_csv(accept: &str) -> bool {
    let types = accept.split(',').filter_map(|it| it.split(';').next()).map(str::trim);
    types.into_iter().find(|it| ["text/csv", "application/json"].contains(it)) == Some("text/csv")
}

fn invalid(name: &str, message: String) -> ApiError {
    ApiError::new(Code::InvalidQuery, "See 'errors' for every invalid parameter.").with_errors(FieldError {
        location: format!("query.{name}"),
        code: "INVALID_VALUE",
        message,
    })
}
