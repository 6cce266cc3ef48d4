//! What SQS answers to a request that it can't carry out.

use http::StatusCode;

/// An error with the codes that the SDK's typed errors are found by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("The specified queue does not exist.")]
    NoSuchQueue,
    #[error("The input receipt handle is invalid.")]
    InvalidReceiptHandle,
    #[error("The message is not in flight.")]
    NotInFlight,
    #[error("{0}")]
    InvalidContents(String),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(String),
    #[error("There should be at least one entry in the request.")]
    EmptyBatch,
    #[error("Maximum number of entries per request are 10.")]
    TooManyEntries,
    #[error("Two or more batch entries in the request have the same Id.")]
    IdsNotDistinct,
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores, at most 80."
    )]
    InvalidEntryId,
    #[error("Batch requests cannot be longer than 1048576 bytes.")]
    BatchTooLong,
    #[error("Unknown attribute {0}.")]
    InvalidAttribute(String),
    #[error("The local stack doesn't know the operation {0}.")]
    Unsupported(String),
    /// The caller's role doesn't allow it.
    #[error("{0}")]
    AccessDenied(String),
    #[error("The security token included in the request is invalid.")]
    InvalidClientTokenId,
    /// The store failed: the local disk, most likely.
    #[error("{0}")]
    Internal(String),
}

impl Fault {
    /// Name of the error's shape and the code that the older query protocol has for it.
    pub(super) fn codes(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoSuchQueue => ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
            Self::InvalidReceiptHandle => ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
            Self::NotInFlight => ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
            Self::InvalidContents(_) => ("InvalidMessageContents", "InvalidMessageContents"),
            Self::InvalidParameter(_) => ("InvalidParameterValueException", "InvalidParameterValue"),
            Self::MissingParameter(_) => ("MissingRequiredParameterException", "MissingParameter"),
            Self::EmptyBatch => ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
            Self::TooManyEntries => {
                ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
            }
            Self::IdsNotDistinct => {
                ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
            }
            Self::InvalidEntryId => ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
            Self::BatchTooLong => ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
            Self::InvalidAttribute(_) => ("InvalidAttributeName", "InvalidAttributeName"),
            Self::Unsupported(_) => ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
            Self::AccessDenied(_) => ("AccessDenied", "AccessDenied"),
            Self::InvalidClientTokenId => ("InvalidClientTokenId", "InvalidClientTokenId"),
            Self::Internal(_) => ("InternalFailure", "InternalFailure"),
        }
    }

    /// The answer's status, and whose fault it is.
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Receiver"),
            Self::AccessDenied(_) | Self::InvalidClientTokenId => (StatusCode::FORBIDDEN, "Sender"),
            _ => (StatusCode::BAD_REQUEST, "Sender"),
        }
    }

    /// Whether the caller has to mend the request.
    pub(super) fn is_senders(&self) -> bool {
        self.status().1 == "Sender"
    }
}
