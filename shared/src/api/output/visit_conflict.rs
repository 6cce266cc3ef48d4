//! The member `conflicts` of the problem that rejects a visit.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Code;

/// Why a visit cannot be booked at a time.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VisitConflict {
    pub code: Code,
    /// The times that cause the conflict, at most 20. Empty if another program booked at the same
    /// moment.
    pub blocking: Vec<BlockingTime>,
    /// The number of blocking times that are not listed. Omitted if all are.
    #[serde(rename = "blockingOmitted", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub blocking_omitted: Option<usize>,
}

/// A time that is not free, in RFC 3339 with the practice's offset.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockingTime {
    #[schema(format = DateTime, example = "2026-03-09T09:00:00-04:00")]
    pub from: String,
    #[schema(format = DateTime, example = "2026-03-09T09:30:00-04:00")]
    pub to: String,
}
