//! Handles `GET /v1/admin/readiness`.

mod check;
mod databases;
mod pollers;
mod queues;
mod secrets;
mod tables;
pub mod thresholds;

use serde::Serialize;
use shared::{
    api::{Admin, ApiError, ApiResult, Code, Data, Problem},
    app::App,
    control::queue::Lane,
    domain::zones,
};
use utoipa::ToSchema;

use check::{Check, CheckName, CheckStatus, bounded};

/// Seconds after which a monitor may check again if the platform is not ready.
const ASK_AGAIN: i64 = 30;

/// The worst result of all checks.
///
/// `ready` if all are `ok`, `degraded` if one is `degraded`, and `notReady` if one has `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum ReadinessStatus {
    Ready,
    Degraded,
    NotReady,
}

/// The results of all checks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Readiness {
    status: ReadinessStatus,
    /// RFC 3339.
    #[schema(example = "2026-03-09T12:00:00Z")]
    checked_at: String,
    /// The version of the time-zone database that this function was built with.
    #[schema(value_type = String, example = "2026f")]
    tzdata: &'static str,
    /// All checks, always in this order.
    checks: Vec<Check>,
}

/// Check everything that the platform depends on.
///
/// For monitors and operators; `GET /v1/health` is the cheap, public check. Returns 200 if `status`
/// is `ready` or `degraded`. Returns 503 `NOT_READY` if a check has failed; the problem then has
/// the same `data` as an additional member. Each check names the section of the runbook that says
/// what to do.
///
/// The checks run in parallel and independently, each for at most 2 seconds. They do not open the
/// practices' databases: once a minute, the log poller reports on the catalog and on the practices
/// with subscriptions. The use of the admin secret is audited before the response is sent, so every
/// response shows that the control plane can be written. If it cannot, the response is 503
/// `UNAVAILABLE` without `data`.
#[utoipa::path(
    get,
    path = "/v1/admin/readiness",
    tag = "Administration",
    responses(
        (status = 200, body = Data<Readiness>),
        (status = 401, body = Problem, description = "`INVALID_ADMIN_SECRET`"),
        (status = 503, body = Problem, description = "`NOT_READY`, with `data` as in 200; `UNAVAILABLE`"),
    ),
)]
pub(crate) async fn get_readiness(admin: Admin) -> ApiResult<Data<Readiness>> {
    // The future of all checks is large.
    let checks = Box::pin(all_checks(&admin)).await;
    let worst = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok);
    let failed: Vec<&str> =
        checks.iter().filter(|it| it.status == CheckStatus::Failed).map(|it| it.name.as_str()).collect();
    let failed = failed.join(", ");
    let readiness = Readiness {
        status: match worst {
            CheckStatus::Ok => ReadinessStatus::Ready,
            CheckStatus::Degraded => ReadinessStatus::Degraded,
            CheckStatus::Failed => ReadinessStatus::NotReady,
        },
        checked_at: admin.now().to_string(),
        tzdata: zones::version(),
        checks,
    };
    if readiness.status != ReadinessStatus::NotReady {
        return Ok(Data { data: readiness });
    }
    let data = serde_json::to_value(readiness).map_err(|error| ApiError::internal(&error))?;
    let detail = format!("These checks failed: {failed}. See 'data' for their findings.");
    Err(ApiError::new(Code::NotReady, detail).with("data", data).retry_after(ASK_AGAIN))
}

/// Runs all checks in parallel.
async fn all_checks(admin: &Admin) -> Vec<Check> {
    use CheckName::{
        AdminSecret, Catalog, DeadLetters, DueRetries, EdgeSecret, Events, Migrations, Poller, Practices,
        SlowEvents, TokenKeys,
    };
    let (app, now): (&App, _) = (&admin.app, admin.now());
    let limit = app.config.timeouts.readiness_check;
    let config = &app.config;
    let (tables, polled, events, slow, dead, due, migrations, tokens, admins, edge) = tokio::join!(
        tables::check(app, limit),
        bounded(limit, &[Catalog, Poller, Practices], pollers::check(app, now)),
        bounded(limit, &[Events], queues::depth(app, Events, Lane::Events)),
        bounded(limit, &[SlowEvents], queues::depth(app, SlowEvents, Lane::SlowEvents)),
        bounded(limit, &[DeadLetters], queues::depth(app, DeadLetters, Lane::DeadLetters)),
        bounded(limit, &[DueRetries], queues::due_retries(app, now)),
        bounded(limit, &[Migrations], databases::migrations(app)),
        bounded(limit, &[TokenKeys], secrets::check(app, TokenKeys, config.token_keys.as_ref(), now)),
        bounded(limit, &[AdminSecret], secrets::check(app, AdminSecret, config.admin_secrets.as_ref(), now)),
        bounded(limit, &[EdgeSecret], secrets::check(app, EdgeSecret, config.edge_secret.as_ref(), now)),
    );
    let groups = [vec![tables], polled, events, slow, dead, due, migrations, tokens, admins, edge];
    groups.into_iter().flatten().collect()
}
