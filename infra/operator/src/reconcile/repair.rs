//! Repairs of the control plane and of practice databases.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shared::control::access_requests::{AccessRequest, AccessStatus};
use shared::control::audit::{AuditRecord, FieldChange};
use shared::control::partners::PartnerStatus;
use shared::control::reconciliation::Counter;
use shared::control::subscriptions::Subscription;
use shared::control::{self, Store};
use shared::domain::PracticePass;
use shared::domain::ids::{KeyId, PartnerId};
use shared::domain::log_progress::LogProgress;
use shared::tenant::reconciliation::{AUDIT_ACTION, DatabaseRepair};

use super::super::access::{commit, record, revoke_key, set_partner_status};
use super::examine::repair_database;
use super::{Ask, refused};
use crate::error::{Error, Result};

/// One repair.
pub(super) enum Repair {
    RecoverAudit(Vec<AuditRecord>),
    RevokeKey(KeyId),
    SuspendPartner(PartnerId),
    /// Withdraws the claim link of an approval.
    WithdrawLink(Box<AccessRequest>),
    DeleteSubscription(Box<Subscription>),
    PauseSubscription(Box<Subscription>),
    LeaseAbove(Counter, i64),
    /// Deletes the responses that the control plane stored since then.
    ForgetAnswers(Timestamp),
    /// Sets where to continue reading a practice's log.
    ReadOn(PracticePass, Box<LogProgress>),
    /// Deletes a practice's stored responses about records that don't exist.
    ForgetStrays(PracticePass),
    /// Skips this many ids of a practice's new records, starting above the given ids by table.
    PassOver(PracticePass, i64, BTreeMap<String, i64>),
}

impl Repair {
    /// Performs the repair; returns a description of it. Idempotent.
    pub(super) async fn perform(
        &self,
        control: &Store,
        ask: &impl Ask,
        now: Timestamp,
        request_id: &str,
    ) -> Result<String> {
        let failed = |error: control::Error| refused(&error);
        match self {
            Self::RecoverAudit(records) => {
                let mut recovered = 0;
                for record in records {
                    recovered += usize::from(control.recover_audit(record, now).await.map_err(failed)?);
                }
                Ok(format!(
                    "{recovered} audit records were restored from their copies and marked as recovered"
                ))
            }
            Self::RevokeKey(id) => {
                let key = revoke_key(control, id.as_str(), now).await?;
                Ok(format!("key {id} of {} for {} is revoked", key.partner, key.practicepass))
            }
            Self::SuspendPartner(id) => {
                let partner = set_partner_status(control, id.as_str(), PartnerStatus::Suspended, now).await?;
                Ok(format!("partner {id} ({}) is suspended", partner.company))
            }
            Self::WithdrawLink(request) => {
                let mut request = AccessRequest::clone(request);
                request.decide(AccessStatus::Withdrawn, now);
                let audit = record("access-requests.withdraw", request.id.as_str(), now)?;
                let write = control.access_request_write(&request);
                let done = format!("the claim link of {} is withdrawn", request.id);
                changed(commit(control, write, &audit).await, done)
            }
            Self::DeleteSubscription(subscription) => {
                let audit = record("webhooks.delete", &subscription.id.to_string(), now)?;
                let write = control.remove_subscription_write(subscription);
                let done = format!("subscription {} is deleted", subscription.id);
                changed(commit(control, write, &audit).await, done)
            }
            Self::PauseSubscription(subscription) => {
                let audit = record("webhooks.pause", &subscription.id.to_string(), now)?;
                let write = control.pause_subscription_write(subscription, Some(now), now);
                let done = format!("subscription {} is paused", subscription.id);
                changed(commit(control, write, &audit).await, done)
            }
            Self::LeaseAbove(counter, to) => {
                control.lease_above(*counter, *to).await.map_err(failed)?;
                Ok(format!("new ids of {counter:?} begin above {to}"))
            }
            Self::ForgetAnswers(since) => {
                let forgotten = control.answers_since(*since, true).await.map_err(failed)?;
                Ok(format!("{forgotten} stored responses of the control plane are deleted"))
            }
            Self::ReadOn(practicepass, progress) => read_on(control, practicepass, progress, now).await,
            Self::ForgetStrays(practicepass) => {
                let repair = DatabaseRepair {
                    answers: true,
                    skip_ids: 0,
                    floors: BTreeMap::new(),
                    request_id: request_id.to_owned(),
                };
                repair_database(ask, practicepass, now, repair).await?;
                Ok("stored responses about records that don't exist are deleted".to_owned())
            }
            Self::PassOver(practicepass, count, floors) => {
                let repair = DatabaseRepair {
                    answers: false,
                    skip_ids: *count,
                    floors: floors.clone(),
                    request_id: request_id.to_owned(),
                };
                let ends = repair_database(ask, practicepass, now, repair).await?.ends;
                let begins: Vec<String> = ends.iter().map(|(table, end)| format!("{table} {end}")).collect();
                let passed = |(table, end): (String, i64)| FieldChange {
                    field: table,
                    from: None,
                    to: Some(end.to_string()),
                };
                let changes = ends.into_iter().map(passed).collect();
                note(control, practicepass.as_str(), now, changes).await?;
                Ok(format!("ids are skipped; new ones begin above {}", begins.join(", ")))
            }
        }
    }
}

/// Reports a concurrent change of the item as such; the next survey checks it again.
fn changed(committed: control::Result<()>, done: String) -> Result<String> {
    match committed {
        Ok(()) => Ok(done),
        Err(control::Error::ConditionFailed) => Ok(format!("not done ({done}): someone else changed it")),
        Err(error) => Err(refused(&error)),
    }
}

async fn read_on(
    control: &Store,
    practicepass: &PracticePass,
    progress: &LogProgress,
    now: Timestamp,
) -> Result<String> {
    let failed = |error: control::Error| refused(&error);
    let owner = format!("operator-{now}");
    let lease = control.take_lease(practicepass, &owner, now, now + shared::config::POLL_LEASE).await;
    let Some(mut lease) = lease.map_err(failed)? else {
        return Err(Error::Refused(format!(
            "the poller holds the lease of {practicepass}; stop it, wait a minute and run this again"
        )));
    };
    let until = lease.until;
    control.save_progress(&mut lease, progress.clone(), until).await.map_err(failed)?;
    control.release(&lease).await.map_err(failed)?;
    Ok(format!("reading of the log continues after {} in epoch {}", progress.top, progress.epoch))
}

/// Records a reconciliation in the audit log.
pub(super) async fn note(
    control: &Store,
    target: &str,
    now: Timestamp,
    changes: Vec<FieldChange>,
) -> Result<()> {
    let record = AuditRecord { changes, ..record(AUDIT_ACTION, target, now)? };
    control.record_audit(&record).await.map_err(|error| refused(&error))
}
