//! The status of a visit.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scope::text_enum;

text_enum! {
    /// The status of a visit.
    VisitStatus {
        Scheduled = "Scheduled",
        Confirmed = "Confirmed",
        /// The patient has arrived.
        Arrived = "Arrived",
        Completed = "Completed",
        Cancelled = "Cancelled",
        /// The patient did not come.
        NoShow = "NoShow",
        /// Removed from the records; partners do not see it.
        Deleted = "Deleted",
    }
}

impl VisitStatus {
    /// Whether the visit blocks the time of its provider, room and patient.
    pub fn blocks(self) -> bool {
        !matches!(self, Self::Cancelled | Self::NoShow | Self::Deleted)
    }

    /// Whether the visit can still be canceled or rescheduled.
    pub fn open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Confirmed)
    }
}
