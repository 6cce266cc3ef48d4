//! `Idempotency-Key`: a retried POST has one effect and one response.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::api::{ApiError, Code, FieldError, FromBody, input::body::read};
use crate::{
    app::App,
    auth::{Caller, sha256_hex},
    control::idempotency::ResponseClaim,
    domain::idempotency::{IDEMPOTENCY_TTL, RequestKey, StoredResponse},
};

/// How long a key is claimed if the process of the first request dies.
///
/// It is longer than any function runs.
const CLAIMED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// A body, and the idempotency key of its request.
pub struct Once<T> {
    pub body: T,
    pub key: IdempotencyKey,
}

/// The request's `Idempotency-Key`, if it has one, and the request to which it applies.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    value: Option<String>,
    method: String,
    path: String,
    body_hash: String,
}

/// A response, either new or stored.
#[derive(Debug)]
pub struct JsonAnswer {
    pub status: u16,
    pub body: String,
    pub replayed: bool,
}

/// The outcome of work that was done, but may not have succeeded.
#[derive(Debug)]
pub enum Done {
    /// Stored: the same request gets this response again.
    Succeeded(JsonAnswer),
    /// Not stored: the same request does the work again.
    Failed(JsonAnswer),
}

impl IdempotencyKey {
    /// Returns the key of `caller`'s request; `None` without the header.
    pub fn of(&self, caller: &Caller) -> Option<RequestKey> {
        self.of_owner(caller.key_id.as_str())
    }

    /// Returns the key of a request whose owner has no API key; `None` without the header.
    pub fn of_owner(&self, owner: &str) -> Option<RequestKey> {
        Some(RequestKey {
            key_id: owner.to_owned(),
            method: self.method.clone(),
            path: self.path.clone(),
            idempotency_key: self.value.clone()?,
            body_hash: self.body_hash.clone(),
        })
    }
}

impl JsonAnswer {
    pub fn new(status: StatusCode, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_string(body).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { status: status.as_u16(), body, replayed: false })
    }

    /// Returns the `data` of the body; null if there is none.
    pub fn data(&self) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&self.body)
            .map_or(serde_json::Value::Null, |mut body| body["data"].take())
    }

    /// Returns the id with this name in `data`.
    pub fn id(&self, name: &str) -> Option<i64> {
        self.data()[name].as_i64()
    }

    /// Returns the stored response to the same request.
    ///
    /// # Errors
    /// 422 if the key was used with another body.
    pub fn replay(key: &RequestKey, stored: StoredResponse) -> Result<Self, ApiError> {
        if stored.body_hash != key.body_hash {
            return Err(ApiError::new(Code::IdempotencyKeyReused, "Use a new key for a new request."));
        }
        Ok(Self {
            status: u16::try_from(stored.status).unwrap_or(200),
            body: stored.response,
            replayed: true,
        })
    }

    /// Returns the error for a request while the first one with this key is in progress.
    pub fn in_progress() -> ApiError {
        ApiError::new(Code::IdempotencyInProgress, "Retry when the first request with this key is done.")
            .retry_after(1)
    }
}

impl IntoResponse for JsonAnswer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (status, [(CONTENT_TYPE, "application/json")], self.body).into_response();
        if self.replayed {
            response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

impl<T: FromBody> FromRequest<App> for Once<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let value = header(request.headers())?;
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let (bytes, body) = read::<T>(request).await?;
        Ok(Self { body, key: IdempotencyKey { value, method, path, body_hash: sha256_hex(&bytes) } })
    }
}

/// Reads the header: 1 to 255 visible ASCII characters.
fn header(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::new(Code::InvalidHeader, "See 'errors'.").with_errors(vec![FieldError {
        location: "header.Idempotency-Key".into(),
        code: "INVALID_VALUE",
        message: "must be 1 to 255 visible ASCII characters".into(),
    }]))
}

/// Does `work` once per key, if its effect is outside our transactions.
///
/// An example is a call to a partner's endpoint.
///
/// # Errors
/// 409 while the first request with the key is in progress; the error of `work`, which releases the
/// key.
pub async fn once(
    app: &App,
    key: Option<RequestKey>,
    now: Timestamp,
    work: impl Future<Output = Result<Done, ApiError>> + Send,
) -> Result<JsonAnswer, ApiError> {
    let Some(key) = key else {
        let (Done::Succeeded(answer) | Done::Failed(answer)) = work.await?;
        return Ok(answer);
    };
    match app.control.claim_key(&key, now, now + CLAIMED_FOR).await? {
        ResponseClaim::Ours => (),
        ResponseClaim::Stored(stored) => return JsonAnswer::replay(&key, stored),
        ResponseClaim::Busy => return Err(JsonAnswer::in_progress()),
    }
    let done = work.await;
    // Return the outcome even if it cannot be recorded: the claim expires by itself.
    let recorded = match &done {
        Ok(Done::Succeeded(answer)) => {
            app.control.store_response(&key, answer.status, &answer.body, now + IDEMPOTENCY_TTL).await
        }
        Ok(Done::Failed(_)) | Err(_) => app.control.release_key(&key).await,
    };
    if let Err(error) = recorded {
        tracing::warn!(%error, "an idempotency record was not written");
    }
    let (Done::Succeeded(answer) | Done::Failed(answer)) = done?;
    Ok(answer)
}

/// Runs code and stores the idempotency record in one transaction of the practice's database.
///
/// `create_once!(tenant, key, |conn| { …; JsonAnswer::new(StatusCode::CREATED, &body) })` is an
/// `ApiResult<JsonAnswer>`. Only successes are stored. Work that would fail because the first
/// request succeeded must be inside the block, not before it.
///
/// If the response contains patient data, its replay must be audited: pass the action, the kind of
/// record and the id in the response before `conn`, as in
/// `("prospects.replay", "patient", |it| it.id("PatientID"))`.
#[macro_export]
macro_rules! create_once {
    ($tenant:expr, $key:expr, |$conn:ident| $work:expr) => {
        $crate::create_once!(@ $tenant, $key, _, |_| Ok(()), |$conn| $work)
    };
    ($tenant:expr, $key:expr, ($action:literal, $entity:literal, |$answer:ident| $id:expr),
        |$conn:ident| $work:expr) => {
        $crate::create_once!(@ $tenant, $key, replayed, |connection| {
            let $answer: &$crate::api::JsonAnswer = replayed;
            let ids: Vec<i64> = Option::<i64>::into_iter($id).collect();
            $crate::sql::audit::record(connection, &$tenant.audit($action, $entity, &ids)).await
        }, |$conn| $work)
    };
    (@ $tenant:expr, $key:expr, $replayed:pat, |$again:pat_param| $audit:expr, |$conn:ident| $work:expr) => {{
        let tenant = &$tenant;
        let key: Option<$crate::domain::idempotency::RequestKey> = $key.of(&tenant.caller);
        $crate::in_transaction!(tenant.db, $crate::api::ApiError, |connection| {
            if let Some(key) = &key {
                if !$crate::sql::idempotency::claim(connection, key).await? {
                    return Err($crate::api::JsonAnswer::in_progress());
                }
                if let Some(stored) = $crate::sql::idempotency::find(connection, key, tenant.now).await? {
                    let answer = $crate::api::JsonAnswer::replay(key, stored)?;
                    let noted: $crate::sql::Result<()> = {
                        let ($replayed, $again) = (&answer, &mut *connection);
                        $audit
                    };
                    noted?;
                    return Ok(answer);
                }
            }
            let answer: $crate::api::JsonAnswer = {
                let $conn: &mut $crate::sql::Conn = &mut *connection;
                #[allow(unused_braces, reason = "rustfmt puts a long body into braces")]
                let work = async { $work };
                work.await?
            };
            if let Some(key) = &key {
                let expires_at = tenant.now + $crate::api::IDEMPOTENCY_TTL;
                let (status, body) = (answer.status, &answer.body);
                $crate::sql::idempotency::store(connection, key, status, body, tenant.now, expires_at).await?;
            }
            Ok(answer)
        })
    }};
}
