//! The demo's control plane: partners, practices and keys.

use jiff::Timestamp;
use shared::auth::api_key::{ApiKey, Mode};
use shared::auth::secret_ref::SecretRef;
use shared::auth::{KeyRecord, KeyStatus};
use shared::control::activity::CallBatch;
use shared::control::partners::{Partner, PartnerStatus};
use shared::control::practices::Practice;
use shared::control::{self, Store};
use shared::domain::ids::PartnerId;
use shared::domain::{PracticePass, Scope, zones};

use super::document::DemoKey;
use super::practice::PRACTICES;
use super::{access, activity, dsn_secret};
use crate::error::{Error, Result};
use crate::random;

/// Rate limit in calls per minute, high enough for load tests.
const RATE_LIMIT: u32 = 100_000;

/// Id, company, contact, email, website.
const PARTNERS: [(&str, &str, &str, &str, &str); 2] = [
    ("prt_northwind", "Northwind Health", "Kim Lee", "kim@northwind.example", "https://northwind.example"),
    ("prt_lakeview", "Lakeview Analytics", "Sam Ortiz", "sam@lakeview.example", "https://lakeview.example"),
];

/// Key name, index of its partner and of its practice, scopes.
const KEYS: [(&str, usize, usize, &[Scope]); 3] = [
    ("All scopes", 0, 0, Scope::ALL),
    ("Prospects only", 0, 0, &[Scope::Prospects]),
    ("All scopes of the clinic", 1, 1, Scope::ALL),
];

/// Writes the practices. Idempotent.
pub(super) async fn practices(store: &Store) -> Result<()> {
    for it in &PRACTICES {
        let practice = Practice {
            practicepass: practicepass(it.practicepass)?,
            name: it.name.to_owned(),
            time_zone: it.time_zone.to_owned(),
            dsn_secret: SecretRef::SecretsManager(dsn_secret(it.practicepass)),
            sandbox: false,
            registered_at: None,
            schema_version: None,
            tzdata: None,
        };
        store.put_practice(&practice).await.map_err(|error| Error::store("practices", error))?;
    }
    Ok(())
}

/// Writes the partners, new keys and a week of calls with these keys.
pub(super) async fn partners_and_keys(store: &Store, now: Timestamp) -> Result<Vec<DemoKey>> {
    for (id, company, contact, email, website) in PARTNERS {
        let partner = Partner {
            id: PartnerId(id.to_owned()),
            company: company.to_owned(),
            contact_name: Some(contact.to_owned()),
            email: Some(email.to_owned()),
            phone: None,
            website: Some(website.to_owned()),
            notification_email: None,
            status: PartnerStatus::Active,
            suspended_at: None,
            identity_changes: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        match store.create_partner(&partner).await {
            // An interrupted earlier run had already written it.
            Ok(()) | Err(control::Error::ConditionFailed) => {}
            Err(error) => return Err(Error::store("partners", error)),
        }
    }
    let (practice, partner) = (practicepass(PRACTICES[0].practicepass)?, PartnerId(PARTNERS[0].0.to_owned()));
    access::requests(store, &practice, &partner, now).await?;
    let (mut keys, mut records) = (vec![], vec![]);
    for (name, partner, practice, scopes) in KEYS {
        let practice = &PRACTICES[practice];
        let (key, record) = key(name, PARTNERS[partner], practice.practicepass, scopes, now)?;
        store.create_api_key(&record).await.map_err(|error| Error::store("keys", error))?;
        keys.push(DemoKey {
            name: name.to_owned(),
            practicepass: practice.practicepass.to_owned(),
            api_key: key.reveal(),
            scopes: scopes.to_vec(),
        });
        let zone = zones::get(practice.time_zone)
            .ok_or_else(|| Error::Store(format!("{} is not a time zone", practice.time_zone)))?;
        records.push((record, zone));
    }
    let calls = activity::calls(&records, now);
    for batch in CallBatch::seal(&calls) {
        store.record_calls(&batch).await.map_err(|error| Error::store("activity", error))?;
    }
    Ok(keys)
}

fn key(
    name: &str,
    (partner_id, company, ..): (&str, &str, &str, &str, &str),
    practice: &str,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(ApiKey, KeyRecord)> {
    let mut random = [0; 48];
    random.copy_from_slice(&random::bytes(48)?);
    let key = ApiKey::from_random(Mode::Live, &random);
    let record = KeyRecord {
        id: key.id.clone(),
        name: name.to_owned(),
        partner_id: PartnerId(partner_id.to_owned()),
        partner: company.to_owned(),
        practicepass: practicepass(practice)?,
        scopes: scopes.to_vec(),
        prefix: key.visible_prefix(),
        secret_hash: key.secret_hash(),
        status: KeyStatus::Active,
        version: 1,
        previous: None,
        revision: 1,
        changed_at: std::collections::BTreeMap::new(),
        rotations: Vec::new(),
        expires_at: None,
        allowed_cidrs: vec![],
        rate_limit: RATE_LIMIT,
        created_at: now,
        last_used_at: None,
        partner_suspended_at: None,
    };
    Ok((key, record))
}

fn practicepass(text: &str) -> Result<PracticePass> {
    PracticePass::try_from(text).map_err(|error| Error::Refused(format!("{text}: {error}")))
}
