//! What has become of a visit.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scope::text_enum;

text_enum! {
    /// What has become of a visit.
    VisitStatus {
        Scheduled = "Scheduled",
        Confirmed = "Confirmed",
        /// The patient is there.
        Arrived = "Arrived",
        Completed = "Completed",
        Cancelled = "Cancelled",
        /// The patient didn't come.
        NoShow = "NoShow",
        /// Taken out of the records; partners don't see it.
        Deleted = "Deleted",
    }
}

impl VisitStatus {
    /// Whether it takes up its provider's, room's and patient's time.
    pub fn blocks(self) -> bool {
        !matches!(self, Self::Cancelled | Self::NoShow | Self::Deleted)
    }

    /// Whether it can still be cancelled or moved.
    pub fn open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Confirmed)
    }
}
