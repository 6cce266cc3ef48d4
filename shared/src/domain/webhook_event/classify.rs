//! Classification of the EMR's log rows as events.

use super::Action;
use crate::domain::EventScope;

/// Returns the event for a log row; `None` for tables and actions that partners do not receive.
///
/// The EMR's programs differ in case, plural, prefix and verb (`Insert`, `ADD`, `dbo.tblPatients`,
/// `"Claim"`); all their spellings are recognized. A verb that can both create and change, such as
/// `upsert`, counts as a change.
pub fn classify(table_name: &str, action: &str) -> Option<(EventScope, Action)> {
    Some((scope_of(table_name)?, action_of(action)?))
}

fn scope_of(table_name: &str) -> Option<EventScope> {
    // The last part of `server.database.schema.table`.
    let name = letters(table_name.rsplit('.').next()?);
    let name = ["table", "tbl", "tb"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
    let name = ["table", "tbl"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    Some(match name.strip_suffix('s').unwrap_or(name) {
        "patient" | "prospect" => EventScope::Patients,
        "encounter" | "visit" | "appointment" => EventScope::Encounters,
        "claim" => EventScope::Claims,
        "payment" => EventScope::Payments,
        "document" => EventScope::Documents,
        _ => return None,
    })
}

fn action_of(action: &str) -> Option<Action> {
    Some(match letters(action).as_str() {
        "i" | "ins" | "insert" | "inserted" | "c" | "create" | "created" | "a" | "add" | "added" | "n"
        | "new" => Action::Created,
        "u" | "upd" | "update" | "updated" | "e" | "edit" | "edited" | "m" | "mod" | "modify"
        | "modified" | "change" | "changed" | "alter" | "altered" | "patch" | "patched" | "set" | "save"
        | "saved" | "upsert" | "upserted" | "merge" | "merged" | "replace" | "replaced" | "cancel"
        | "canceled" | "cancelled" | "reschedule" | "rescheduled" | "restore" | "restored" | "undelete"
        | "undeleted" => Action::Updated,
        "d" | "del" | "delete" | "deleted" | "remove" | "removed" | "r" | "rem" | "drop" | "dropped"
        | "purge" | "purged" | "erase" | "erased" | "softdelete" | "softdeleted" => Action::Deleted,
        _ => return None,
    })
}

/// Returns the letters and digits of the text, in lower case.
fn letters(text: &str) -> String {
    text.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_is_recognized_in_any_spelling() {
        let spellings: [(EventScope, &[&str]); 5] = [
            (
                EventScope::Patients,
                &[
                    "patients",
                    " Patient ",
                    "PROSPECTS",
                    "tblPatients",
                    "tbl_Patient",
                    "TBLPATIENT",
                    "dbo.Patients",
                    "[dbo].[tblPatients]",
                    "\"public\".\"patients\"",
                    "`emr`.`patient`",
                    "emr.dbo.Patients",
                    "patients_tbl",
                    "PatientTable",
                    "prospect",
                ],
            ),
            (EventScope::Encounters, &["visits", "Visit", "encounter", "dbo.tblEncounters", "appointments"]),
            (EventScope::Claims, &["claims", "CLAIM", "tblClaim"]),
            (EventScope::Payments, &["payments", "dbo.Payment"]),
            (EventScope::Documents, &["documents", "tbl_documents"]),
        ];
        for (scope, names) in spellings {
            for name in names {
                assert_eq!(classify(name, "insert"), Some((scope, Action::Created)), "{name}");
            }
        }
        for name in ["sessions", "", ".", "tbl", "patient_words", "claims_history", "patients.notes", "s"] {
            assert_eq!(classify(name, "insert"), None, "{name}");
        }
    }

    #[test]
    fn a_verb_is_recognized_in_any_spelling() {
        let spellings: [(Action, &[&str]); 3] = [
            (Action::Created, &["insert", "INSERTED", "I", "create", "created", "Add", "added", "new"]),
            (
                Action::Updated,
                &[
                    "update",
                    " Updated",
                    "U",
                    "edit",
                    "change",
                    "modified",
                    "cancel",
                    "Canceled",
                    "cancelled",
                    "merge",
                    "upsert",
                    "replace",
                    "UPD",
                    "restore",
                ],
            ),
            (Action::Deleted, &["delete", "Deleted", "D", "remove", "DEL", "soft_delete", "soft-delete"]),
        ];
        for (action, verbs) in spellings {
            for verb in verbs {
                assert_eq!(classify("claims", verb), Some((EventScope::Claims, action)), "{verb}");
            }
        }
        for verb in ["printed", "", "select", "login", "viewed"] {
            assert_eq!(classify("claims", verb), None, "{verb}");
        }
    }
}
