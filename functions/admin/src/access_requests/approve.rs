//! Handles `POST /v1/admin/access-requests/{id}/approve`.

use axum::http::{HeaderMap, StatusCode};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    api::{
        Admin, ApiError, ApiResult, Change, Code, Data, FieldError, FieldProblem, IdempotencyKey, JsonAnswer,
        Once, PathText, Problem, Reading, portal_origin,
    },
    body,
    control::{
        access_requests::{AccessRequest, AccessStatus, Approval, CLAIM_VALID, ClaimToken},
        partners::{Partner, PartnerStatus},
    },
    domain::{
        PracticePass, Scope,
        ids::{AccessRequestId, PartnerId},
    },
    text_field,
};
use utoipa::ToSchema;

use super::{already_decided, load_pending};
use crate::{
    fields::{self, Scopes},
    keys::terms::{Network, Networks, RateLimit, expiry},
};

text_field! {
    /// The `PPass` of a registered practice.
    ApprovedPractice, 1, 64
}

text_field! {
    /// The id of a partner.
    ApprovedPartner, 1, 64
}

body! {
    pub struct ApproveAccess {
        /// The requested scopes to grant. Defaults to all of them.
        #[schema(value_type = Option<Vec<Scope>>, min_items = 1)]
        "scopes" => scopes: Option<Scopes>,
        /// The practice that the key opens. Required if the request does not name a registered
        /// practice.
        "practicepass" => practicepass: Option<ApprovedPractice>,
        /// The existing partner that gets the key; null or absent for a new partner.
        ///
        /// The applicant's company and e-mail are never matched with existing partners. What a
        /// partner already has is shown by `GET /v1/admin/partners/{id}`.
        "partnerId" => partner_id: Option<ApprovedPartner>,
        /// When the key expires (RFC 3339); null if never.
        #[schema(value_type = Option<String>, format = "date-time")]
        "expiresAt" => expires_at: Option<Timestamp>,
        /// The networks from which the key can be used, at most 50; empty for no restriction.
        #[schema(value_type = Option<Vec<Network>>)]
        "allowedCidrs" => allowed_cidrs: Option<Networks>,
        /// The key's calls per minute. Defaults to 600.
        "rateLimit" => rate_limit: Option<RateLimit>,
    }
}

/// The claim link, to be sent to the applicant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Approved {
    /// The claim link: single-use and valid for 72 hours. Its token follows a `#`, so browsers do
    /// not send it to servers.
    #[schema(example = "https://portal.example.com/#claim=arq_….…")]
    claim_url: String,
    /// RFC 3339.
    claim_until: String,
    partner_id: PartnerId,
    practicepass: PracticePass,
    scopes: Vec<Scope>,
}

/// Approve an access request.
///
/// Creates a single-use link, valid for 72 hours. The applicant opens it to create the key, so
/// nobody else sees the key. The link is only in this response. With an `Idempotency-Key`, the
/// response is stored encrypted for 24 hours; only an administrator's retry returns it.
#[utoipa::path(
    post,
    path = "/v1/admin/access-requests/{id}/approve",
    tag = "Administration",
    params(
        ("id" = AccessRequestId, Path, description = "The id of the access request"),
        (
            "Idempotency-Key" = Option<String>, Header,
            description = "1 to 255 visible ASCII characters. For 24 hours, a retry with the same key \
                returns the first successful response."
        ),
    ),
    request_body = ApproveAccess,
    responses(
        (status = 200, body = Data<Approved>),
        (status = 404, body = Problem, description = "`NOT_FOUND`"),
        (status = 409, body = Problem, description = "`ALREADY_DECIDED`, `PARTNER_SUSPENDED`"),
        (status = 422, body = Problem, description = "`INVALID_FIELDS`: also if the practice is not \
            registered; `IDEMPOTENCY_KEY_REUSED`"),
    ),
)]
pub(crate) async fn approve_access_request(
    admin: Admin,
    PathText(id): PathText,
    headers: HeaderMap,
    Once { body: request_body, key }: Once<Reading<ApproveAccess>>,
) -> ApiResult<JsonAnswer> {
    if let Some(answer) = admin.stored_response(&key).await? {
        return Ok(answer);
    }
    match approve(&admin, id, &headers, request_body, &key).await {
        // The decision may come from this same request, sent twice.
        Err(error) if matches!(error.code(), Code::AlreadyDecided | Code::ConcurrentChange) => {
            admin.stored_response(&key).await?.ok_or_else(already_decided)
        }
        done => done,
    }
}

async fn approve(
    admin: &Admin,
    id: String,
    headers: &HeaderMap,
    request_body: Reading<ApproveAccess>,
    key: &IdempotencyKey,
) -> ApiResult<JsonAnswer> {
    let mut request = match load_pending(admin, id).await {
        // Report an invalid body even if the request cannot be approved.
        Err(error) => return Err(request_body.validate(Vec::new()).err().unwrap_or(error)),
        Ok(request) => request,
    };
    let grant = validate(admin, &request, request_body).await?;
    let token = ClaimToken::from_random(&request.id, admin.app.random.bytes());
    let url = claim_url(admin, headers, &token)?;
    let approval = Approval {
        partner_id: grant.partner.id.clone(),
        practicepass: grant.practicepass,
        scopes: grant.scopes,
        claim_hash: token.hash(),
        claim_until: admin.now() + CLAIM_VALID,
        expires_at: grant.expires_at,
        allowed_cidrs: grant.allowed_cidrs,
        rate_limit: grant.rate_limit,
        key_id: None,
    };
    let approved = Approved::new(&approval, url);
    request.approval = Some(approval);
    request.decide(AccessStatus::Approved, admin.now());
    let mut writes = vec![admin.app.control.access_request_write(&request)?];
    if grant.new_partner {
        writes.push(admin.app.control.partner_write(&grant.partner)?);
    }
    let change = Change::new("access-requests.approve", request.id.as_str());
    let answer = JsonAnswer::new(StatusCode::OK, &Data { data: approved })?;
    admin.commit_once(key, change, writes, answer).await
}

struct Grant {
    partner: Partner,
    new_partner: bool,
    practicepass: PracticePass,
    scopes: Vec<Scope>,
    expires_at: Option<Timestamp>,
    allowed_cidrs: Vec<IpNet>,
    rate_limit: u32,
}

/// Validates the approval and returns what it grants.
///
/// # Errors
/// 422 with every invalid field, or 409 if the partner is suspended.
async fn validate(
    admin: &Admin,
    request: &AccessRequest,
    request_body: Reading<ApproveAccess>,
) -> ApiResult<Grant> {
    let mut errors = Vec::new();
    let named = request_body.peek::<ApprovedPractice>("practicepass");
    let named = named.map_or_else(|| request.practice.clone(), String::from);
    let practice = fields::practice(admin, &named).await?;
    if practice.is_none() && !request_body.is_wrong("practicepass") {
        errors.push(fields::unknown("practicepass", "registered practice"));
    }
    let scopes = match request_body.peek::<Scopes>("scopes") {
        Some(scopes) => Ok(scopes),
        None => Scopes::new(request.requested_scopes.clone()),
    };
    let none = |problem: FieldProblem| {
        let FieldProblem { code, message, .. } = problem;
        errors.push(FieldError { location: "body.scopes".into(), code, message });
    };
    let scopes: Vec<Scope> = scopes.map_err(none).map_or_else(|()| Vec::new(), Into::into);
    let added = |scope: &&Scope| !request.requested_scopes.contains(scope);
    if let Some(scope) = scopes.iter().find(added) {
        errors.push(FieldError {
            location: "body.scopes".into(),
            code: "NOT_REQUESTED",
            message: format!("{scope} was not requested"),
        });
    }
    let partner = match request_body.peek::<ApprovedPartner>("partnerId") {
        Some(id) => admin.app.control.partner(&PartnerId(id.0)).await?.map(|partner| (partner, false)),
        None => Some((new_partner(admin, request), true)),
    };
    if partner.is_none() {
        errors.push(fields::unknown("partnerId", "partner"));
    }
    let expires_at = request_body.peek("expiresAt");
    errors.extend(expires_at.and_then(|it| expiry(it, admin.now()).err()));
    let allowed_cidrs = request_body.peek::<Networks>("allowedCidrs").unwrap_or_default().into();
    let rate_limit = request_body.peek::<RateLimit>("rateLimit").unwrap_or_default().0;
    request_body.validate(errors)?;
    let (Some(practice), Some((partner, new_partner))) = (practice, partner) else {
        return Err(ApiError::not_found());
    };
    if partner.status == PartnerStatus::Suspended {
        return Err(suspended());
    }
    let practicepass = practice.practicepass;
    Ok(Grant { partner, new_partner, practicepass, scopes, expires_at, allowed_cidrs, rate_limit })
}

/// Returns a new partner with the details of the applicant.
///
/// It is never matched with an existing one: anybody can enter any company and e-mail in the form,
/// and partners can change their own.
fn new_partner(admin: &Admin, request: &AccessRequest) -> Partner {
    Partner {
        id: PartnerId::from_random(admin.app.random.bytes()),
        company: request.company.clone(),
        contact_name: Some(request.contact.clone()),
        email: Some(request.email.clone()),
        phone: None,
        website: None,
        notification_email: None,
        status: PartnerStatus::Active,
        suspended_at: None,
        identity_changes: Vec::new(),
        created_at: admin.now(),
        updated_at: admin.now(),
        version: 1,
    }
}

/// Returns the claim link, which is shown only once.
pub(super) fn claim_url(admin: &Admin, headers: &HeaderMap, token: &ClaimToken) -> ApiResult<String> {
    let no_host = || ApiError::new(Code::InvalidHeader, "The 'Host' header is missing.");
    let origin = portal_origin(&admin.app, headers).ok_or_else(no_host)?;
    Ok(format!("{origin}/#claim={}", token.reveal()))
}

pub(super) fn suspended() -> ApiError {
    ApiError::new(Code::PartnerSuspended, "This partner is suspended. Reactivate the partner first.")
}

impl Approved {
    pub(super) fn new(approval: &Approval, claim_url: String) -> Self {
        Self {
            claim_url,
            claim_until: approval.claim_until.to_string(),
            partner_id: approval.partner_id.clone(),
            practicepass: approval.practicepass.clone(),
            scopes: approval.scopes.clone(),
        }
    }
}
