//! Questions to a practice's database.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::domain::PracticePass;
use shared::domain::ids::LogId;
use shared::tenant::reconciliation::{ExamineRequest, Facts, Mend};

use super::Ask;
use crate::error::Result;

/// A question about nothing yet.
pub(super) fn empty_question(
    practicepass: &PracticePass,
    since: Timestamp,
    now: Timestamp,
) -> ExamineRequest {
    ExamineRequest {
        practicepass: practicepass.clone(),
        since,
        now,
        log_ids: Vec::new(),
        position: LogId::default(),
        calls: BTreeSet::new(),
        records: BTreeSet::new(),
        mend: None,
    }
}

/// Repairs a practice's database.
pub(super) async fn mend(
    ask: &impl Ask,
    practicepass: &PracticePass,
    now: Timestamp,
    mend: Mend,
) -> Result<Facts> {
    let question = ExamineRequest { mend: Some(mend), ..empty_question(practicepass, now, now) };
    ask.ask(&question).await
}
