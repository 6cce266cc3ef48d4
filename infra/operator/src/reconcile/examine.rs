//! Requests to a practice's database.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::domain::PracticePass;
use shared::domain::ids::LogId;
use shared::tenant::reconciliation::{DatabaseRepair, ExamineRequest, Facts};

use super::Ask;
use crate::error::Result;

/// Returns a request that asks for nothing.
pub(super) fn empty_request(practicepass: &PracticePass, since: Timestamp, now: Timestamp) -> ExamineRequest {
    ExamineRequest {
        practicepass: practicepass.clone(),
        since,
        now,
        log_ids: Vec::new(),
        position: LogId::default(),
        calls: BTreeSet::new(),
        records: BTreeSet::new(),
        repair: None,
    }
}

/// Repairs a practice's database.
pub(super) async fn repair_database(
    ask: &impl Ask,
    practicepass: &PracticePass,
    now: Timestamp,
    repair: DatabaseRepair,
) -> Result<Facts> {
    let request = ExamineRequest { repair: Some(repair), ..empty_request(practicepass, now, now) };
    ask.ask(&request).await
}
