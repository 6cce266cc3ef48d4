//! Handles `POST /v1/access-requests`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use shared::{
    api::{ApiResult, Call, Email, IDEMPOTENCY_TTL, JsonAnswer, Once, Problem},
    app::App,
    body, control,
    control::access_requests::{AccessRequest, AccessStatus},
    domain::{Scope, ids::AccessRequestId},
    text_field,
};
use utoipa::ToSchema;

text_field! { name ApplicantCompany, 1, 200 }
text_field! { ApplicantPractice, 1, 200 }
text_field! { ApplicantContact, 1, 200 }
text_field! { lines ApplicantMessage, 1, 2000 }

body! {
    pub struct RequestAccess {
        "company" => company: ApplicantCompany,
        /// The practice whose data you want to use: its `PPass` if you know it, otherwise its name.
        "practice" => practice: ApplicantPractice,
        /// The name of the contact person.
        "contact" => contact: ApplicantContact,
        "email" => email: Email,
        /// The scopes that your API key should have. Defaults to `Prospects`.
        "requestedScopes" => requested_scopes: Option<Vec<Scope>>,
        "message" => message: Option<ApplicantMessage>,
    }
}

/// Confirms that the request was received. It is the same for every applicant.
#[derive(Serialize, ToSchema)]
pub(crate) struct Received {
    #[schema(value_type = String)]
    message: &'static str,
}

/// Request access to the API.
///
/// An administrator decides and sends you a link to your API key by e-mail. Every valid request
/// gets the same response. Each address can send ten requests in ten minutes; the requests of all
/// callers together are also limited. An undecided request expires after 30 days.
#[utoipa::path(
    post,
    path = "/v1/access-requests",
    tag = "Portal",
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response."
    )),
    request_body = RequestAccess,
    security(()),
    responses(
        (status = 202, body = Received),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`, `IDEMPOTENCY_KEY_REUSED`"),
        (status = 429, body = Problem, description = "`RATE_LIMITED`: too many requests from your network or \
            from all callers; see `Retry-After`"),
    ),
)]
pub(crate) async fn request_access(
    State(app): State<App>,
    call: Call,
    Once { body, key }: Once<RequestAccess>,
) -> ApiResult<JsonAnswer> {
    let address = call.address().map(|it| it.to_string()).unwrap_or_default();
    let key = key.of_owner(&format!("applicant {address}"));
    let stored = async || match &key {
        Some(key) => {
            let stored = app.control.stored_response(key, call.now()).await?;
            stored.map(|stored| JsonAnswer::replay(key, stored)).transpose()
        }
        None => Ok(None),
    };
    if let Some(answer) = stored().await? {
        return Ok(answer);
    }
    app.admit_access_request(call.address(), call.now()).await?;
    let mut requested_scopes = body.requested_scopes.unwrap_or_default();
    requested_scopes.sort_unstable();
    requested_scopes.dedup();
    if requested_scopes.is_empty() {
        requested_scopes.push(Scope::Prospects);
    }
    let request = AccessRequest {
        id: AccessRequestId::from_random(app.random.bytes()),
        company: body.company.into(),
        practice: body.practice.into(),
        contact: body.contact.into(),
        email: body.email.into(),
        requested_scopes,
        message: body.message.map(String::from),
        status: AccessStatus::Pending,
        created_at: call.now(),
        decided_at: None,
        reason: None,
        approval: None,
        expires_at: AccessRequest::undecided_until(call.now()),
        version: 1,
    };
    let received = Received { message: "Your request has been received" };
    let answer = JsonAnswer::new(StatusCode::ACCEPTED, &received)?;
    let mut writes = vec![app.control.access_request_write(&request)?];
    if let Some(key) = &key {
        let (now, until) = (call.now(), call.now() + IDEMPOTENCY_TTL);
        writes.push(app.control.stored_response_write(key, answer.status, &answer.body, now, until)?);
    }
    match app.control.transact(writes).await {
        Ok(()) => Ok(answer),
        // The same request, sent concurrently, was stored first.
        Err(error @ control::Error::ConditionFailed) => stored().await?.ok_or_else(|| error.into()),
        Err(error) => Err(error.into()),
    }
}
