//! The data of both practices at the start of a test.

use shared::{
    app::App,
    auth::{
        KeyRecord, KeyStatus,
        api_key::{ApiKey, Mode},
        secret_ref::SecretRef,
    },
    control::{
        partners::{Partner, PartnerStatus},
        practices::Practice,
    },
    domain::{PracticePass, Scope, ids::PartnerId},
    sql::{Conn, Database},
    tenant::TenantDb,
};

/// Providers 1 (Jane Smith), 2 and 3 (inactive); `Consult` for 1 and 2 with rooms 101 and 102;
/// Monday to Friday 9 to 17 with a break at noon; patients 1001 to 1003; tags 1 and 2.
const ROWS: &str = "
insert into providers (provider_id, name, title, specialty, active) values
    (1, 'Jane Smith', 'PA-C', 'Aesthetics', true),
    (2, 'Omar Haddad', 'MD', 'Dermatology', true),
    (3, 'Lena Fischer', 'NP', null, false);
insert into resources (resource_id, name) values (101, 'Room 1'), (102, 'Room 2');
insert into visit_types (visit_type, active, buffer_before, buffer_after) values
    ('Consult', true, 0, 0), ('FOLLOWUP', true, 0, 0), ('Retired', false, 0, 0);
insert into visit_type_providers (visit_type, provider_id) values
    ('Consult', 1), ('Consult', 2), ('FOLLOWUP', 1), ('FOLLOWUP', 2), ('Retired', 1);
insert into visit_type_resources (visit_type, resource_id) values ('Consult', 101), ('Consult', 102);
insert into working_hours (provider_id, weekday, start_time, end_time) values
    (1, 1, '09:00:00', '12:00:00'), (1, 1, '13:00:00', '17:00:00'),
    (1, 2, '09:00:00', '12:00:00'), (1, 2, '13:00:00', '17:00:00'),
    (1, 3, '09:00:00', '12:00:00'), (1, 3, '13:00:00', '17:00:00'),
    (1, 4, '09:00:00', '12:00:00'), (1, 4, '13:00:00', '17:00:00'),
    (1, 5, '09:00:00', '12:00:00'), (1, 5, '13:00:00', '17:00:00'),
    (2, 1, '09:00:00', '12:00:00'), (2, 1, '13:00:00', '17:00:00'),
    (2, 2, '09:00:00', '12:00:00'), (2, 2, '13:00:00', '17:00:00'),
    (2, 3, '09:00:00', '12:00:00'), (2, 3, '13:00:00', '17:00:00'),
    (2, 4, '09:00:00', '12:00:00'), (2, 4, '13:00:00', '17:00:00'),
    (2, 5, '09:00:00', '12:00:00'), (2, 5, '13:00:00', '17:00:00');
insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at) values
    (1001, 'Ada', 'Jones', 'Ada Jones', '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z'),
    (1002, 'Ben', 'Okafor', 'Ben Okafor', '2026-01-03T10:00:00Z', '2026-01-03T10:00:00Z'),
    (1003, 'Chloe', 'Weber', 'Chloe Weber', '2026-01-04T10:00:00Z', '2026-01-04T10:00:00Z');
insert into tags (tag_id, name, colour) values (1, 'VIP', '#aa3377'), (2, 'Recall', null);
";

/// `PostgreSQL`'s sequences do not notice explicit ids.
const SEQUENCES: &str = "
select setval(pg_get_serial_sequence('providers', 'provider_id'), 100);
select setval(pg_get_serial_sequence('resources', 'resource_id'), 200);
select setval(pg_get_serial_sequence('patients', 'patient_id'), 2000);
select setval(pg_get_serial_sequence('tags', 'tag_id'), 100);
";

pub(crate) async fn fill(db: &TenantDb) {
    super::database::execute(db, ROWS).await;
    let is_postgres = matches!(db.connection().await.unwrap(), Conn::Postgres(_));
    if is_postgres {
        super::database::execute(db, SEQUENCES).await;
    }
}

/// Article 12 is from the reference; 14 is inactive.
const CATALOG_ROWS: &str = "
insert into kb_articles (kb_id, title, article, category, type, tags, active, created_at, updated_at) values
    (11, 'Closing the Month', 'Reconcile payments 100%.', 'Billing', 'Policy', null, true, \
    '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z'),
    (12, 'Insurance Verification Workflow', 'Step-by-step process...', 'Billing', 'HowTo', \
    'insurance, verification', true,
     '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z'),
    (13, 'Rooming a Patient', 'Greet, weigh, ask about insurance.', 'Clinical', 'HowTo', 'rooming', true, \
    '2026-01-02T10:00:00Z', '2026-01-02T10:00:00Z'),
    (14, 'Old Fax Cover', 'No longer used.', 'Front Desk', 'Form', null, false, '2026-01-02T10:00:00Z', \
    '2026-01-02T10:00:00Z');
";

pub(crate) async fn fill_catalog(db: &Database) {
    super::database::execute(db, CATALOG_ROWS).await;
}

/// Adds practices, partners and keys.
pub(crate) async fn register(app: &App) -> Vec<(&'static str, String)> {
    for (practicepass, time_zone) in [("DemoOffice", "America/New_York"), ("OtherOffice", "Europe/Berlin")] {
        let practice = Practice {
            practicepass: PracticePass::try_from(practicepass).unwrap(),
            name: practicepass.to_owned(),
            time_zone: time_zone.to_owned(),
            dsn_secret: SecretRef::from(format!("env:DSN_{}", practicepass.to_uppercase())),
            sandbox: false,
            registered_at: None,
            schema_version: None,
            tzdata: None,
        };
        app.control.put_practice(&practice).await.unwrap();
    }
    for (id, company) in [("prt_acme", "Acme Health"), ("prt_other", "Other Health")] {
        let now = app.clock.now();
        let partner = Partner {
            id: PartnerId(id.into()),
            company: company.into(),
            contact_name: Some("Kim Lee".into()),
            email: Some("kim@acme.example".into()),
            phone: None,
            website: None,
            notification_email: None,
            status: PartnerStatus::Active,
            suspended_at: None,
            identity_changes: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        app.control.create_partner(&partner).await.unwrap();
    }
    let all = Scope::ALL;
    let mut keys = Vec::new();
    for (name, partner, practicepass, scopes) in [
        ("all", "prt_acme", "DemoOffice", all),
        ("prospects", "prt_acme", "DemoOffice", &[Scope::Prospects]),
        ("other", "prt_other", "OtherOffice", all),
    ] {
        let (key, record) = key(app, name, partner, practicepass, scopes);
        app.control.create_api_key(&record).await.unwrap();
        keys.push((name, key.reveal()));
    }
    keys
}

/// Adds a partner and its only key.
pub(crate) async fn partner_with_key(
    app: &App,
    partner: &str,
    practicepass: &PracticePass,
    scopes: &[Scope],
) {
    let known = app.control.partner(&PartnerId("prt_acme".into())).await.unwrap().unwrap();
    let made = Partner { id: PartnerId(partner.to_owned()), version: 1, ..known };
    app.control.create_partner(&made).await.unwrap();
    let (_, record) = key(app, "made for a test", partner, practicepass.as_str(), scopes);
    app.control.create_api_key(&record).await.unwrap();
}

pub(crate) async fn key_with(app: &App, scopes: &[Scope]) -> KeyRecord {
    let (_, record) = key(app, "made for a test", "prt_acme", "DemoOffice", scopes);
    app.control.create_api_key(&record).await.unwrap();
    record
}

fn key(app: &App, name: &str, partner: &str, practicepass: &str, scopes: &[Scope]) -> (ApiKey, KeyRecord) {
    let key = ApiKey::from_random(Mode::Live, &app.random.bytes());
    let record = KeyRecord {
        id: key.id.clone(),
        name: name.to_owned(),
        partner_id: PartnerId(partner.to_owned()),
        partner: "Acme Health".into(),
        practicepass: PracticePass::try_from(practicepass).unwrap(),
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
        allowed_cidrs: Vec::new(),
        rate_limit: 100_000,
        created_at: app.clock.now(),
        last_used_at: None,
        partner_suspended_at: None,
    };
    (key, record)
}
