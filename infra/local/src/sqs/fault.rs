//! The errors that SQS returns.

use http::StatusCode;

/// An error, with the codes by which the SDK selects its typed errors.
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
    #[error("The local stack does not support the operation {0}.")]
    Unsupported(String),
    /// The caller's role does not allow the action.
    #[error("{0}")]
    AccessDenied(String),
    #[error("The security token included in the request is invalid.")]
    InvalidClientTokenId,
    /// The store failed, probably because of the local disk.
    #[error("{0}")]
    Internal(String),
}

impl Fault {
    /// The name of the error's shape, and its code in the older query protocol.
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

    /// The status of the response, and whether the sender or the receiver is at fault.
    pub(super) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Receiver"),
            Self::AccessDenied(_) | Self::InvalidClientTokenId => (StatusCode::FORBIDDEN, "Sender"),
            _ => (StatusCode::BAD_REQUEST, "Sender"),
        }
    }

    /// Whether the caller must correct the request.
    pub(super) fn is_senders(&self) -> bool {
        self.status().1 == "Sender"
    }
}
