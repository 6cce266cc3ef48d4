//! Errors as RFC 9457 problem details. Status and code are chosen here and nowhere else.

use crate::sql;
use std::borrow::Cow;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::{FieldError, FieldErrors};
use crate::{
    app,
    auth::Denied,
    control,
    domain::Scope,
    sql::{Constraint, Transient},
};

// `tt`, not `literal`: utoipa reads serde's names only from bare tokens.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:tt $status:ident $title:literal;)+) => {
        /// A stable code for each way in which a call can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    MalformedJson "MALFORMED_JSON" BAD_REQUEST "The body is not valid JSON";
    InvalidPath "INVALID_PATH" BAD_REQUEST "The path is malformed";
    InvalidQuery "INVALID_QUERY" BAD_REQUEST "The query is malformed";
    InvalidHeader "INVALID_HEADER" BAD_REQUEST "A header is malformed";
    Unauthenticated "UNAUTHENTICATED" UNAUTHORIZED "A valid bearer token is required";
    InvalidAccessKey "INVALID_ACCESS_KEY" UNAUTHORIZED "Invalid access key";
    InvalidAdminSecret "INVALID_ADMIN_SECRET" UNAUTHORIZED "A valid admin secret is required";
    InvalidApiKey "INVALID_API_KEY" UNAUTHORIZED "The API key is not valid";
    InsufficientScope "INSUFFICIENT_SCOPE" FORBIDDEN "The key lacks a required scope";
    CrossSiteRefused "CROSS_SITE_REFUSED" FORBIDDEN "The call does not come from the portal";
    NotFound "NOT_FOUND" NOT_FOUND "Not found";
    PatientNotFound "PATIENT_NOT_FOUND" NOT_FOUND "Patient not found";
    ProviderNotFound "PROVIDER_NOT_FOUND" NOT_FOUND "Provider not found";
    MethodNotAllowed "METHOD_NOT_ALLOWED" METHOD_NOT_ALLOWED "Method not allowed";
    OutsideHours "OUTSIDE_HOURS" CONFLICT "Outside the provider's hours";
    ProviderConflict "PROVIDER_CONFLICT" CONFLICT "The provider is booked";
    ResourceConflict "RESOURCE_CONFLICT" CONFLICT "No room is free";
    PatientConflict "PATIENT_CONFLICT" CONFLICT "The patient has another visit";
    VisitNotOpen "VISIT_NOT_OPEN" CONFLICT "The visit can no longer be changed";
    SubscriptionDisabled "SUBSCRIPTION_DISABLED" CONFLICT "The subscription is not active";
    SubscriptionSuspended "SUBSCRIPTION_SUSPENDED" CONFLICT "The partner has no access to these events";
    SubscriptionPaused "SUBSCRIPTION_PAUSED" CONFLICT "The subscription is paused";
    SubscriptionDeleted "SUBSCRIPTION_DELETED" CONFLICT "The subscription was deleted";
    AlreadyDecided "ALREADY_DECIDED" CONFLICT "The access request was already decided";
    NotApproved "NOT_APPROVED" CONFLICT "The access request is not approved";
    ClaimUsed "CLAIM_USED" CONFLICT "The claim link was already used";
    KeyRevoked "KEY_REVOKED" CONFLICT "The key is revoked";
    PartnerSuspended "PARTNER_SUSPENDED" CONFLICT "The partner is suspended";
    RotatedTooOften "ROTATED_TOO_OFTEN" CONFLICT "Too many replaced secrets are still valid";
    IdempotencyInProgress "IDEMPOTENCY_IN_PROGRESS" CONFLICT "The first request is still in progress";
    ConcurrentChange "CONCURRENT_CHANGE" CONFLICT "Changed by another request at the same time";
    PreconditionFailed "PRECONDITION_FAILED" PRECONDITION_FAILED "Changed since you read it";
    HeadersTooLarge "HEADERS_TOO_LARGE" REQUEST_HEADER_FIELDS_TOO_LARGE "The path, query and headers are too \
        large";
    PayloadTooLarge "PAYLOAD_TOO_LARGE" PAYLOAD_TOO_LARGE "The body is too large";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" UNSUPPORTED_MEDIA_TYPE "The body must be application/json";
    InvalidFields "INVALID_FIELDS" UNPROCESSABLE_ENTITY "Some fields are invalid";
    VisitTypeUnknown "VISIT_TYPE_UNKNOWN" UNPROCESSABLE_ENTITY "Unknown visit type";
    VisitTypeInactive "VISIT_TYPE_INACTIVE" UNPROCESSABLE_ENTITY "Inactive visit type";
    ProviderNotAllowed "PROVIDER_NOT_ALLOWED" UNPROCESSABLE_ENTITY "The provider is not allowed for this \
        visit type";
    RefusedByEmr "REFUSED_BY_EMR" UNPROCESSABLE_ENTITY "The practice's EMR rejected a value";
    NonexistentLocalTime "NONEXISTENT_LOCAL_TIME" UNPROCESSABLE_ENTITY "This local time does not exist";
    InPast "IN_PAST" UNPROCESSABLE_ENTITY "The time is in the past";
    BeyondHorizon "BEYOND_HORIZON" UNPROCESSABLE_ENTITY "The date is too far in the future";
    HookUrlRefused "HOOK_URL_REFUSED" UNPROCESSABLE_ENTITY "The hook URL is not allowed";
    ReplayTooLarge "REPLAY_TOO_LARGE" UNPROCESSABLE_ENTITY "Too much happened in this time";
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" UNPROCESSABLE_ENTITY "The idempotency key was used for \
        another body";
    RateLimited "RATE_LIMITED" TOO_MANY_REQUESTS "Too many requests";
    Internal "INTERNAL" INTERNAL_SERVER_ERROR "Something went wrong on our side";
    ResponseTooLarge "RESPONSE_TOO_LARGE" INTERNAL_SERVER_ERROR "The response is too large";
    Unavailable "UNAVAILABLE" SERVICE_UNAVAILABLE "Temporarily unavailable";
    NotReady "NOT_READY" SERVICE_UNAVAILABLE "A part of the platform is failing";
}

/// The body of an error (RFC 9457), `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The address of the code's entry in the documentation.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/docs/errors.html#INVALID_FIELDS")]
    pub kind: String,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    /// A URI that identifies this occurrence of the problem.
    pub instance: String,
    pub code: Code,
    #[serde(rename = "requestId")]
    pub request_id: String,
    /// The invalid fields, parameters or headers; at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The number of errors that are not listed. Omitted if all are.
    #[serde(rename = "errorsOmitted", skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub errors_omitted: usize,
    /// Additional members of particular problems, such as `conflicts`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// `portal` is the portal's origin, such as `https://portal.example.com`, which serves the
    /// documentation. If it is empty, `type` is relative to the host of the call.
    pub fn new(code: Code, detail: String, request_id: &str, portal: &str) -> Self {
        Self {
            kind: format!("{portal}/docs/errors.html#{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail,
            instance: format!("urn:officepro:request:{request_id}"),
            code,
            request_id: request_id.to_owned(),
            errors: Vec::new(),
            errors_omitted: 0,
            members: Map::new(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field")]
pub(in crate::api) fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The error of a handler.
#[derive(Debug)]
pub struct ApiError(Box<ProblemDetails>);

#[derive(Clone, Debug)]
pub(in crate::api) struct ProblemDetails {
    pub(in crate::api) code: Code,
    pub(in crate::api) detail: Cow<'static, str>,
    pub(in crate::api) errors: FieldErrors,
    pub(in crate::api) members: Map<String, Value>,
    /// Seconds.
    pub(in crate::api) retry_after: Option<i64>,
    pub(in crate::api) scope: Option<Scope>,
    transient: bool,
    /// The cause, which is logged and never sent to the caller.
    pub(in crate::api) cause: Option<String>,
}

impl ApiError {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(ProblemDetails {
            code,
            detail: detail.into(),
            errors: FieldErrors::default(),
            members: Map::new(),
            retry_after: None,
            scope: None,
            transient: false,
            cause: None,
        }))
    }

    /// Returns the error for everything that the caller may not know about.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "Nothing was found that your key can access.")
    }

    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "Send a valid access token as 'Authorization: Bearer …'.")
    }

    /// Returns a 422 with the invalid fields.
    pub fn fields(errors: impl Into<FieldErrors>) -> Self {
        Self::new(Code::InvalidFields, "See 'errors' for every invalid field.").with_errors(errors)
    }

    /// Returns a 422 for one invalid field of the body.
    pub fn field(name: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self::fields(FieldError { location: format!("body.{name}"), code, message: message.into() })
    }

    pub fn insufficient_scope(scope: Scope) -> Self {
        let mut error =
            Self::new(Code::InsufficientScope, format!("Your key was not granted the {scope} scope."));
        error.0.scope = Some(scope);
        error
    }

    pub fn rate_limited(retry_after: i64) -> Self {
        Self::new(Code::RateLimited, "Wait as long as 'Retry-After' says before the next request.")
            .retry_after(retry_after)
    }

    pub fn unavailable(cause: &dyn std::error::Error) -> Self {
        Self::new(Code::Unavailable, "Try again in a moment.").retry_after(2).caused_by(cause)
    }

    /// Returns the error that replaces a response over the size limit.
    pub(in crate::api) fn response_too_large(bytes: Option<u64>) -> Self {
        let cause = std::io::Error::other(format!("a response of {} bytes", bytes.unwrap_or(u64::MAX)));
        Self::new(Code::ResponseTooLarge, "The error was logged. Request less, e.g. with a lower 'limit'.")
            .caused_by(&cause)
    }

    pub fn internal(cause: &dyn std::error::Error) -> Self {
        Self::new(Code::Internal, "The error was logged; quote the request id when you ask about it.")
            .caused_by(cause)
    }

    #[must_use]
    pub fn with_errors(mut self, errors: impl Into<FieldErrors>) -> Self {
        self.0.errors = errors.into();
        self
    }

    /// Adds an additional member to the problem.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: i64) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause.push_str(": ");
            cause.push_str(&inner.to_string());
            source = inner.source();
        }
        self.0.cause = Some(cause);
        self
    }
}

impl Transient for ApiError {
    fn is_transient(&self) -> bool {
        self.0.transient
    }
}

impl From<sql::Error> for ApiError {
    fn from(error: sql::Error) -> Self {
        match &error {
            sql::Error::Unavailable(_) | sql::Error::CircuitOpen | sql::Error::TimeZoneChanged => {
                Self::unavailable(&error)
            }
            sql::Error::Contended(_) => {
                let mut reply = Self::unavailable(&error);
                reply.0.transient = true;
                reply
            }
            sql::Error::Refused(Constraint::EmrVisitType) => {
                Self::new(Code::VisitTypeInactive, "Visits of this type can no longer be booked.")
            }
            sql::Error::Refused(Constraint::Emr) => {
                let detail = "A value is too long or of a kind that the practice's EMR cannot store; send \
                    another one.";
                Self::new(Code::RefusedByEmr, detail)
            }
            _ => Self::internal(&error),
        }
    }
}

impl From<control::Error> for ApiError {
    fn from(error: control::Error) -> Self {
        match &error {
            // We must fix why a store rejects (a permission, a table); the same call then succeeds.
            control::Error::Unavailable { .. } | control::Error::Refused { .. } => Self::unavailable(&error),
            control::Error::ConditionFailed => {
                Self::new(Code::ConcurrentChange, "Read it again, then try again.")
            }
            _ => Self::internal(&error),
        }
    }
}

impl From<app::Error> for ApiError {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Control(error) => error.into(),
            app::Error::Tenant(error) => error.into(),
            app::Error::TokenKeys(error) => Self::internal(&error),
            app::Error::SecretPair(error) => Self::internal(&error),
            app::Error::TooManyAttempts { retry_after } => Self::rate_limited(retry_after),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthenticated => Self::unauthenticated(),
            Denied::OtherPractice => Self::not_found(),
            Denied::MissingScope(scope) => Self::insufficient_scope(scope),
        }
    }
}

impl IntoResponse for ApiError {
    /// Leaves the body to the middleware, which knows the request id.
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(*self.0);
        response
    }
}
