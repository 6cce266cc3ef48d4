//! What a ticket's state and urgency can be.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scope::text_enum;

text_enum! {
    /// Where the work on a ticket stands.
    TicketStatus {
        Open = "Open",
        InProgress = "InProgress",
        /// For an answer of somebody else.
        Waiting = "Waiting",
        Resolved = "Resolved",
        Closed = "Closed",
    }
}

text_enum! {
    /// How urgent a ticket is.
    TicketPriority {
        Low = "Low",
        Normal = "Normal",
        High = "High",
        Urgent = "Urgent",
    }
}
