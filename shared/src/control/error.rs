//! Errors of the control plane's stores.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Unreachable, throttled or failing on the server side. The caller may retry.
    #[error("{service} is unavailable: {reason}")]
    Unavailable { service: &'static str, reason: String },
    /// The condition of a write was not met, because the state had changed.
    #[error("the state has changed in the meantime")]
    ConditionFailed,
    #[error("{service} rejected the request: {reason}")]
    Refused { service: &'static str, reason: String },
    /// An item that cannot be decoded or encoded in its documented form.
    #[error("an item is malformed: {0}")]
    Malformed(String),
    #[error("{0} is not configured")]
    NotConfigured(&'static str),
}

/// Error codes after which a retry may succeed (AWS SDK reference, "Retry behavior").
const TRANSIENT: [&str; 12] = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "InternalServerError",
    "InternalServiceError",
    "InternalFailure",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
    "RequestThrottled",
    "ThrottledException",
];

impl Error {
    pub(super) fn from_sdk<E, R>(service: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let SdkError::ServiceError(service_error) = error else {
            return Self::Unavailable { service, reason: error.to_string() };
        };
        let code = service_error.err().code().unwrap_or("unknown");
        let message = service_error.err().message().unwrap_or_default();
        let cancelled = code == "TransactionCanceledException";
        if code == "ConditionalCheckFailedException"
            || (cancelled && message.contains("ConditionalCheckFailed"))
        {
            Self::ConditionFailed
        } else if TRANSIENT.contains(&code) || (cancelled && is_transient(message)) {
            Self::Unavailable { service, reason: code.to_owned() }
        } else {
            Self::Refused { service, reason: format!("{code}: {message}") }
        }
    }
}

/// Whether one of the reasons of a canceled transaction is transient.
fn is_transient(reasons: &str) -> bool {
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
        .iter()
        .any(|reason| reasons.contains(reason))
}
