//! Handles `POST /v1/access-requests/claim`.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use shared::{
    api::{
        ApiError, ApiResult, Call, Change, Code, Data, JsonAnswer, Once, Problem, SealedAnswer, audit_change,
    },
    app::{App, Protected},
    auth::{
        KeyRecord, KeyTerms,
        api_key::{ApiKey, Mode},
    },
    body, control,
    control::{
        access_requests::{AccessRequest, CLAIM_VALID, ClaimToken},
        audit::FieldChange,
        partners::PartnerStatus,
    },
    domain::{
        PracticePass, Scope,
        ids::{KeyId, PartnerId},
    },
    text_field,
};
use utoipa::ToSchema;

text_field! {
    /// The text after `#claim=` in the claim link.
    ClaimText, 1, 200
}

body! {
    pub struct ClaimKey {
        "token" => token: ClaimText,
    }
}

/// Your API key, which is shown only once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimedKey {
    /// The API key. Store it where only your programs can read it.
    #[schema(example = "op_live_4fTq8ZsK1aBc_…")]
    api_key: String,
    id: KeyId,
    name: String,
    partner_id: PartnerId,
    partner: String,
    practicepass: PracticePass,
    scopes: Vec<Scope>,
    /// The first characters of the key, which are not secret.
    prefix: String,
    /// Calls per minute.
    rate_limit: u32,
    /// RFC 3339; null if the key does not expire.
    expires_at: Option<String>,
    /// The networks from which the key can be used; empty for no restriction.
    allowed_cidrs: Vec<String>,
}

/// Claim your API key through the link you were sent.
///
/// The link works once and is valid for 72 hours. It creates the key exactly as it was approved. An
/// administrator can end the link before it is used. Send an `Idempotency-Key` so that you can
/// retry the call if its response is lost.
#[utoipa::path(
    post,
    path = "/v1/access-requests/claim",
    tag = "Portal",
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
            returns the first successful response."
    )),
    request_body = ClaimKey,
    security(()),
    responses(
        (status = 201, body = Data<ClaimedKey>),
        (status = 404, body = Problem, description = "`NOT_FOUND`: the link is unknown or has expired"),
        (status = 409, body = Problem, description = "`CLAIM_USED`; `PARTNER_SUSPENDED`"),
        (status = 429, body = Problem, description = "`RATE_LIMITED`: too many failed attempts"),
    ),
)]
pub(crate) async fn claim_key(
    State(app): State<App>,
    call: Call,
    Once { body, key }: Once<ClaimKey>,
) -> ApiResult<JsonAnswer> {
    let (request, token) = find(&app, &call, &body.token.0).await?;
    let once = SealedAnswer::new(&app, key.of_owner(&token.hash()), call.now());
    if let Some(answer) = once.stored_response().await? {
        let claimed = request.approval.as_ref().and_then(|it| it.key_id.as_ref());
        if let Some(id) = claimed
            && let Some(record) = app.control.live_api_key(id).await?
        {
            identify(&call, &record);
        }
        return Ok(answer);
    }
    let (created, answer) = create_key(&app, &call, &request).await?;
    let control = &app.control;
    let of_request = FieldChange {
        field: "accessRequest".to_owned(),
        from: None,
        to: Some(request.id.as_str().to_owned()),
    };
    let values = [of_request];
    let change = Change { values: &values, ..Change::created("keys.claim", created.id.as_str()) };
    let mut writes = vec![
        control.access_request_write(&claimed(request, &created))?,
        control.new_api_key_write(&created)?,
    ];
    writes.extend(control.audit_writes(&audit_change(&app, &call, "claim", change))?);
    writes.extend(once.stored_response_write(&answer).await?);
    match control.transact(writes).await {
        Ok(()) => {
            identify(&call, &created);
            Ok(answer)
        }
        // Another call used the token first. If it was the same request, both get its response.
        Err(control::Error::ConditionFailed) => once.stored_response().await?.ok_or_else(used),
        Err(error) => Err(error.into()),
    }
}

/// Records in the activity log whose key was claimed.
fn identify(call: &Call, key: &KeyRecord) {
    if let Ok(caller) = key.admit_version(key.version, call.now(), call.address()) {
        call.identify(&caller);
    }
}

fn used() -> ApiError {
    ApiError::new(
        Code::ClaimUsed,
        "If you did not use it, tell the administrators. They can revoke the key and create another.",
    )
}

/// Returns the approved request that the token claims.
///
/// # Errors
/// 404 if the link is unknown or has expired, 429 after too many failed attempts.
async fn find(app: &App, call: &Call, text: &str) -> ApiResult<(AccessRequest, ClaimToken)> {
    let attempt = app.attempt(Protected::ClaimToken, call.address(), call.now()).await?;
    let token = ClaimToken::parse(text);
    let request = match &token {
        Some(token) => app.control.access_request(&token.request, call.now()).await?,
        None => None,
    };
    match (request, token) {
        (Some(request), Some(token)) if request.claimed_by(&token, call.now()).is_some() => {
            attempt.succeeded().await;
            Ok((request, token))
        }
        _ => {
            attempt.failed().await;
            Err(ApiError::not_found())
        }
    }
}

/// Creates a key as approved, and the response that shows it. Stores nothing.
async fn create_key(app: &App, call: &Call, request: &AccessRequest) -> ApiResult<(KeyRecord, JsonAnswer)> {
    let approval = request.approval.as_ref().ok_or_else(ApiError::not_found)?;
    if approval.key_id.is_some() {
        return Err(used());
    }
    let practice = app.control.practice(&approval.practicepass).await?.ok_or_else(ApiError::not_found)?;
    let approved_at = approval.claim_until - CLAIM_VALID;
    // A practice that was removed and registered again under the same name may be a different one.
    if practice.registered_at.is_some_and(|at| approved_at < at) {
        return Err(ApiError::not_found());
    }
    let partner = app.control.partner(&approval.partner_id).await?.ok_or_else(ApiError::not_found)?;
    // A suspension ends all existing links; they stay invalid after the partner is reactivated.
    if partner.status == PartnerStatus::Active && partner.has_ended(approved_at) {
        return Err(ApiError::not_found());
    }
    if partner.status == PartnerStatus::Suspended {
        return Err(ApiError::new(
            Code::PartnerSuspended,
            "Your company is suspended. Contact the administrators.",
        ));
    }
    let key = ApiKey::from_random(Mode::of(practice.sandbox), &app.random.bytes());
    let terms = KeyTerms {
        name: format!("{} (claimed)", request.contact.chars().take(80).collect::<String>()),
        partner_id: partner.id,
        partner: partner.company,
        practicepass: practice.practicepass,
        scopes: approval.scopes.clone(),
        expires_at: approval.expires_at,
        allowed_cidrs: approval.allowed_cidrs.clone(),
        rate_limit: approval.rate_limit,
    };
    let record = KeyRecord::new(&key, terms, call.now());
    let data = ClaimedKey {
        api_key: key.reveal(),
        id: record.id.clone(),
        name: record.name.clone(),
        partner_id: record.partner_id.clone(),
        partner: record.partner.clone(),
        practicepass: record.practicepass.clone(),
        scopes: record.scopes.clone(),
        prefix: record.prefix.clone(),
        rate_limit: record.rate_limit,
        expires_at: record.expires_at.map(|it| it.to_string()),
        allowed_cidrs: record.allowed_cidrs.iter().map(ToString::to_string).collect(),
    };
    let answer = JsonAnswer::new(StatusCode::CREATED, &Data { data })?;
    Ok((record, answer))
}

fn claimed(mut request: AccessRequest, key: &KeyRecord) -> AccessRequest {
    if let Some(approval) = &mut request.approval {
        approval.key_id = Some(key.id.clone());
    }
    request.version += 1;
    request
}
