//! Suspends partners and revokes keys directly in the control plane.
//!
//! Unlike the API, this path has no rate limit or brute-force lock that an attacker could trigger.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use shared::auth::{KeyRecord, KeyStatus};
use shared::control::audit::AuditRecord;
use shared::control::partners::{Partner, PartnerStatus};
use shared::control::{self, Store};
use shared::domain::ids::{KeyId, PartnerId};

use crate::error::{Error, Result};
use crate::random;
use crate::{Operator, refused};

/// Retries when someone else changes the same item at the same time.
const MAX_CONFLICT_RETRIES: usize = 5;

impl Operator {
    /// Suspends or reactivates a partner. Idempotent.
    pub async fn set_partner_status(&self, id: &str, status: PartnerStatus) -> Result<Partner> {
        set_partner_status(&self.control, id, status, Timestamp::now()).await
    }

    /// Revokes a key permanently. Idempotent.
    pub async fn revoke_key(&self, id: &str) -> Result<KeyRecord> {
        revoke_key(&self.control, id, Timestamp::now()).await
    }
}

/// Implements [`Operator::set_partner_status`] at the time `now`.
pub async fn set_partner_status(
    control: &Store,
    id: &str,
    status: PartnerStatus,
    now: Timestamp,
) -> Result<Partner> {
    let action = match status {
        PartnerStatus::Suspended => "partners.suspend",
        PartnerStatus::Active => "partners.reinstate",
    };
    for _ in 0..MAX_CONFLICT_RETRIES {
        let found = control.partner(&PartnerId(id.to_owned())).await.map_err(|error| refused(&error))?;
        let mut partner = found.ok_or_else(|| Error::Refused(format!("there is no partner {id}")))?;
        if partner.status == status {
            return Ok(partner);
        }
        partner.set_status(status, now);
        partner.updated_at = now;
        partner.version += 1;
        let write = control.partner_write(&partner);
        match commit(control, write, &record(action, id, now)?).await {
            Ok(()) => return Ok(partner),
            Err(control::Error::ConditionFailed) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    Err(Error::Refused(format!("the partner {id} is being changed by someone else; run the command again")))
}

/// Implements [`Operator::revoke_key`] at the time `now`.
pub async fn revoke_key(control: &Store, id: &str, now: Timestamp) -> Result<KeyRecord> {
    for _ in 0..MAX_CONFLICT_RETRIES {
        let found = control.api_key(&KeyId(id.to_owned())).await.map_err(|error| refused(&error))?;
        let mut key = found.ok_or_else(|| Error::Refused(format!("there is no key {id}")))?;
        if key.status == KeyStatus::Revoked {
            return Ok(key);
        }
        key.revoke();
        key.revision += 1;
        let write = control.change_api_key_write(&key);
        match commit(control, write, &record("keys.revoke", id, now)?).await {
            Ok(()) => return Ok(key),
            Err(control::Error::ConditionFailed) => {}
            Err(error) => return Err(refused(&error)),
        }
    }
    Err(Error::Refused(format!("the key {id} is being changed by someone else; run the command again")))
}

/// Commits a change to the control plane and its audit record in one transaction.
///
/// # Errors
/// [`control::Error::ConditionFailed`] if a condition of the write fails.
pub async fn commit(
    control: &Store,
    write: control::Result<TransactWriteItem>,
    record: &AuditRecord,
) -> control::Result<()> {
    let mut writes = vec![write?];
    writes.extend(control.audit_writes(record)?);
    control.transact(writes).await
}

/// Returns an audit record of the operator's action.
///
/// # Errors
/// If the system provides no random bytes.
pub fn record(action: &str, target: &str, now: Timestamp) -> Result<AuditRecord> {
    let id = random::hex(&random::bytes(16)?);
    Ok(AuditRecord {
        changes: Vec::new(),
        request_id: format!("operator-{id}"),
        id: format!("aud_{id}"),
        time: now,
        action: action.to_owned(),
        target: Some(target.to_owned()),
        fields: Vec::new(),
        credential: "operator".to_owned(),
        status: None,
        ip: None,
        recovered_at: None,
    })
}
