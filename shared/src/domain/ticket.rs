//! The status and priority of a ticket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scope::text_enum;

text_enum! {
    /// The status of a ticket.
    TicketStatus {
        Open = "Open",
        InProgress = "InProgress",
        /// Waiting for somebody else to respond.
        Waiting = "Waiting",
        Resolved = "Resolved",
        Closed = "Closed",
    }
}

text_enum! {
    /// The priority of a ticket.
    TicketPriority {
        Low = "Low",
        Normal = "Normal",
        High = "High",
        Urgent = "Urgent",
    }
}
