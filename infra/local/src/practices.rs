//! The practices of a data folder: where their databases are and how they are opened and upgraded.

use std::path::Path;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use jiff::tz::TimeZone;
use shared::auth::PracticeGrant;
use shared::auth::secret_ref::SecretRef;
use shared::control::practices::Practice;
use shared::control::{Store, TableNames};
use shared::tenant::{self, TenantDb};

use crate::data_dir::DataDir;
use crate::dynamodb::DynamoDb;
use crate::error::{Error, Result};
use crate::secrets::Secrets;
use crate::template::{REGION, Template, World};

/// The template's table of the practice registry, partners and keys.
pub(crate) const CONTROL_TABLE: &str = "ControlTable";
/// The template's table of call records.
pub(crate) const ACTIVITY_TABLE: &str = "ActivityTable";

/// Migrates all practices of a data folder, with a line for each; those after one that fails too.
///
/// # Errors
/// When a stack runs in the folder, and when some practice couldn't be migrated.
pub async fn migrate_all(template: &Path, data_dir: &Path) -> Result<()> {
    let data_dir = DataDir::open(data_dir)?;
    let template = Template::read(template, &World::default())?;
    let secrets = Secrets::open(&data_dir.path().join("secrets.json"), &template.secrets)?;
    let dynamodb = DynamoDb::start(&data_dir.path().join("dynamodb.sqlite"), &template.tables).await?;
    let listed = control_plane(&dynamodb.endpoint).practices().await;
    dynamodb.stop().await;
    let practices = listed.map_err(|error| Error::store("practices", error))?;
    let mut failed = 0;
    for practice in &practices {
        match migrate(practice, &secrets).await {
            Ok(_) => println!("{}: up to date", practice.practicepass),
            Err(error) => {
                failed += 1;
                println!("{error}");
            }
        }
    }
    if failed == 0 {
        println!("{} practices migrated.", practices.len());
        return Ok(());
    }
    Err(Error::Store(format!("{failed} of {} practices could not be migrated", practices.len())))
}

/// The control plane of the local DynamoDB.
pub(crate) fn control_plane(endpoint: &str) -> Store {
    let names = TableNames {
        control: Some(CONTROL_TABLE.to_owned()),
        activity: Some(ACTIVITY_TABLE.to_owned()),
        ..TableNames::default()
    };
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .build();
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config), names)
}

/// The environment variable that holds the connection string of a practice's database.
pub(crate) fn dsn_variable(practicepass: &str) -> String {
    format!("PRACTICE_DSN_{}", practicepass.to_uppercase().replace('-', "_"))
}

/// Brings a practice's database to the newest schema and opens it.
pub(crate) async fn migrate(practice: &Practice, secrets: &Secrets) -> Result<TenantDb> {
    let name = practice.practicepass.as_str();
    let dsn = match &practice.dsn_secret {
        SecretRef::Environment(variable) => secrets.get(variable),
        SecretRef::SecretsManager(_) => None,
    };
    let dsn = dsn.ok_or_else(|| Error::Store(format!("{name}: its connection string is not kept here")))?;
    let zone = TimeZone::get(&practice.time_zone).map_err(|error| Error::store(name, error))?;
    let grant = PracticeGrant::for_operations(practice.practicepass.clone());
    tenant::migrate::migrate(&grant, dsn, zone).await.map_err(failed(name))
}

/// An error of this practice's database, with its cause.
pub(crate) fn failed(practicepass: &str) -> impl Fn(tenant::Error) -> Error {
    move |error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Error::Store(format!("{practicepass}: {error}{}", cause.unwrap_or_default()))
    }
}
