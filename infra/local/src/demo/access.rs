//! The demo's access requests: one pending, one approved, one denied.

use jiff::{SignedDuration, Timestamp};
use shared::auth::sha256_hex;
use shared::control::access_requests::{AccessRequest, AccessStatus, Approval, CLAIM_VALID};
use shared::control::{self, Store};
use shared::domain::ids::{AccessRequestId, PartnerId};
use shared::domain::{PracticePass, Scope};

use crate::error::{Error, Result};
use crate::random;

/// Id, company, practice, contact, email, message.
const APPLICANTS: [(&str, &str, &str, &str, &str, &str); 3] = [
    (
        "arq_bluebird",
        "Bluebird Scheduling",
        "DemoOffice",
        "Ines Duarte",
        "ines@bluebird.example",
        "We offer online booking to your patients and would start with one provider.",
    ),
    (
        "arq_northwind",
        "Northwind Health",
        "DemoOffice",
        "Kim Lee",
        "kim@northwind.example",
        "A second key for our reporting.",
    ),
    (
        "arq_clickhouse",
        "Clickhouse Leads",
        "All of them",
        "Rob",
        "rob@clickhouse.example",
        "Please send us your patient list.",
    ),
];

/// Writes the requests. Idempotent.
pub(super) async fn requests(
    store: &Store,
    practice: &PracticePass,
    partner: &PartnerId,
    now: Timestamp,
) -> Result<()> {
    let failed = |error| Error::store("access requests", error);
    for (days, applicant) in (1..).zip(APPLICANTS) {
        let asked = now - SignedDuration::from_hours(24 * days);
        let decided = asked + SignedDuration::from_hours(5);
        let mut request = pending(applicant, asked);
        match days {
            1 => {}
            2 => {
                request.decide(AccessStatus::Approved, decided);
                request.version = 1;
                request.approval = Some(Approval {
                    expires_at: None,
                    allowed_cidrs: Vec::new(),
                    rate_limit: 600,
                    partner_id: partner.clone(),
                    practicepass: practice.clone(),
                    scopes: vec![Scope::Prospects],
                    // The hash of a link that nobody has.
                    claim_hash: sha256_hex(&random::bytes(32)?),
                    claim_until: decided + CLAIM_VALID,
                    key_id: None,
                });
            }
            _ => {
                request.decide(AccessStatus::Denied, decided);
                request.version = 1;
                request.reason = Some("No practice has heard of them.".to_owned());
            }
        }
        let write = store.access_request_write(&request).map_err(failed)?;
        match store.transact(vec![write]).await {
            // An interrupted earlier run had already written it.
            Ok(()) | Err(control::Error::ConditionFailed) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn pending(
    (id, company, practice, contact, email, message): (&str, &str, &str, &str, &str, &str),
    asked: Timestamp,
) -> AccessRequest {
    AccessRequest {
        expires_at: AccessRequest::undecided_until(asked),
        id: AccessRequestId(id.to_owned()),
        company: company.to_owned(),
        practice: practice.to_owned(),
        contact: contact.to_owned(),
        email: email.to_owned(),
        requested_scopes: vec![Scope::Prospects, Scope::Providers, Scope::Scheduling],
        message: Some(message.to_owned()),
        status: AccessStatus::Pending,
        created_at: asked,
        decided_at: None,
        reason: None,
        approval: None,
        version: 1,
    }
}
