//! Events a partner can be told of, and how a row of the EMR's log becomes one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EventScope, PracticePass, ids::LogId, scope::text_enum};

text_enum! {
    /// What happened to the record.
    Action {
        Created = "created",
        Updated = "updated",
        Deleted = "deleted",
    }
}

/// One event of one practice: ids only, never patient data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEvent {
    pub practicepass: PracticePass,
    pub log_id: LogId,
    pub event: EventScope,
    pub action: Action,
    pub record_id: i64,
    pub occurred_at: Timestamp,
}

impl WebhookEvent {
    /// `{PPass}-{log_id}`, the same on every attempt and retry.
    pub fn event_id(&self) -> String {
        format!("{}-{}", self.practicepass, self.log_id)
    }
}

/// The kind of event a log row stands for; `None` for tables and actions that partners don't hear of.
///
/// The EMR's programs don't agree on case, plural or verb ("Insert", "ADD", "create"); the words of all of them are known.
pub fn classify(table_name: &str, action: &str) -> Option<(EventScope, Action)> {
    let scope = match table_name.trim().to_ascii_lowercase().as_str() {
        "patient" | "patients" | "prospect" | "prospects" => EventScope::Patients,
        "encounter" | "encounters" | "visit" | "visits" => EventScope::Encounters,
        "claim" | "claims" => EventScope::Claims,
        "payment" | "payments" => EventScope::Payments,
        "document" | "documents" => EventScope::Documents,
        _ => return None,
    };
    let action = match action.trim().to_ascii_lowercase().as_str() {
        "insert" | "inserted" | "create" | "created" | "add" => Action::Created,
        "update" | "updated" | "edit" | "change" => Action::Updated,
        "delete" | "deleted" | "remove" => Action::Deleted,
        _ => return None,
    };
    Some((scope, action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_row_is_understood_whatever_its_case_and_number() {
        assert_eq!(classify("visits", "insert"), Some((EventScope::Encounters, Action::Created)));
        assert_eq!(classify(" Patient ", "UPDATE"), Some((EventScope::Patients, Action::Updated)));
        assert_eq!(classify("sessions", "insert"), None);
        assert_eq!(classify("claims", "printed"), None);
    }
}
