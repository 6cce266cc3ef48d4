//! The practice databases and the catalog of a data folder: where they are, and their migration.

use shared::sql;
use std::path::Path;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use officepro_operator::migrate::print_collisions;
use shared::auth::secret_ref::SecretRef;
use shared::auth::{CatalogGrant, PracticeGrant};
use shared::catalog::{self, CatalogDb};
use shared::control::practices::Practice;
use shared::control::{Store, TableNames};
use shared::domain::zones;
use shared::tenant::{self, TenantDb};

use crate::data_dir::DataDir;
use crate::dynamodb::DynamoDb;
use crate::error::{Error, Result, TemplateError};
use crate::secrets::Secrets;
use crate::template::{LocalResources, REGION, Template};

/// Logical id of the control table: practice registry, partners and keys.
pub(crate) const CONTROL_TABLE: &str = "ControlTable";
/// Number of databases migrated concurrently.
const AT_ONCE: usize = 5;
/// Logical id of the table of call records.
pub(crate) const ACTIVITY_TABLE: &str = "ActivityTable";

/// Migrates the catalog and all practices of a data folder, and prints a line for each. Continues
/// after failures.
///
/// # Errors
/// If a stack is running in the folder, or if the catalog or more practices than tolerated failed.
pub async fn migrate_all(template: &Path, data_dir: &Path, tolerated: usize) -> Result<()> {
    let data_dir = DataDir::existing(data_dir)?;
    let template = Template::read(template, &LocalResources::default())?;
    let secrets = Secrets::open(&data_dir.path().join("secrets.json"), &template.secrets)?;
    let dynamodb = DynamoDb::start(&data_dir.path().join("dynamodb.sqlite"), &template.tables).await?;
    let listed = control_plane(&dynamodb.endpoint, "local").practices().await;
    dynamodb.stop().await;
    let practices = listed.map_err(|error| Error::store("practices", error))?;
    println!("Migrating the catalog and {} practices …", practices.len());
    let catalog = migrate_catalog(&secrets).await;
    match &catalog {
        Ok(_) => println!("catalog: up to date"),
        Err(error) => println!("{error}"),
    }
    let mut failed = usize::from(catalog.is_err());
    let mut migrations = several(practices.clone(), &secrets);
    while let Some((practice, migrated)) = migrations.next().await {
        match migrated {
            Ok(_) => println!("{}: up to date", practice.practicepass),
            Err(error) => {
                failed += 1;
                println!("{error}");
            }
        }
    }
    drop(migrations);
    if failed == 0 {
        println!("Migrated the catalog and {} practices.", practices.len());
        return Ok(());
    }
    let report = format!("{failed} of {} databases could not be migrated", practices.len() + 1);
    if catalog.is_ok() && failed <= tolerated {
        println!("{report}; up to {tolerated} failures are tolerated.");
        return Ok(());
    }
    Err(Error::Store(report))
}

/// Connects to the control plane in the local DynamoDB with this access key.
pub fn control_plane(endpoint: &str, access_key: &str) -> Store {
    let names = TableNames {
        control: Some(CONTROL_TABLE.to_owned()),
        activity: Some(ACTIVITY_TABLE.to_owned()),
        ..TableNames::default()
    };
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(access_key, "local", None, None, "local"))
        .build();
    Store::with_client(aws_sdk_dynamodb::Client::from_conf(config), names)
}

/// Prefix of the practices' secret names; a deployed stack has it in its output
/// `PracticeSecretsPrefix`.
pub(crate) const SECRETS_PREFIX: &str = "local/practices/";

/// Returns the name of the secret that holds the connection string of a practice's database.
pub fn dsn_secret(practicepass: &str) -> String {
    format!("{SECRETS_PREFIX}{practicepass}")
}

/// Logical id of the secret that holds the catalog's connection string.
pub(crate) const CATALOG_SECRET: &str = "CatalogDsnSecret";

/// Returns the connection string of a registered practice.
fn dsn_of(practice: &Practice, secrets: &Secrets) -> Option<String> {
    let (SecretRef::Environment(name) | SecretRef::SecretsManager(name)) = &practice.dsn_secret;
    secrets.get(name)
}

/// Migrates the catalog's database to the newest schema and opens it.
pub(crate) async fn migrate_catalog(secrets: &Secrets) -> Result<CatalogDb> {
    let dsn = secrets.get(CATALOG_SECRET);
    let dsn = dsn.ok_or_else(|| TemplateError("there is no CatalogDsnSecret".to_owned()))?;
    catalog::migrate::migrate(&CatalogGrant::for_operations(), &dsn).await.map_err(failed("catalog"))
}

/// Migrates a practice's database to the newest schema and opens it.
pub(crate) async fn migrate(practice: &Practice, secrets: &Secrets) -> Result<TenantDb> {
    let name = practice.practicepass.as_str();
    let dsn = dsn_of(practice, secrets);
    let dsn = dsn.ok_or_else(|| Error::Store(format!("{name}: its connection string is missing")))?;
    let grant = PracticeGrant::for_operations(practice.practicepass.clone());
    let migrated = tenant::migrate::migrate(&grant, &dsn, &practice.time_zone, Timestamp::now()).await;
    let migrated = migrated.map_err(failed(name))?;
    print_collisions(name, &migrated.collisions);
    Ok(migrated.db)
}

/// Migrates these practices concurrently, so that an unresponsive server delays no other.
///
/// Yields them in the order in which they finish.
pub(crate) fn several(
    practices: Vec<Practice>,
    secrets: &Secrets,
) -> BoxStream<'_, (Practice, Result<TenantDb>)> {
    let migrated = async |practice: Practice| {
        let done = migrate(&practice, secrets).await;
        (practice, done)
    };
    stream::iter(practices).map(migrated).buffer_unordered(AT_ONCE).boxed()
}

/// Records in the registry that the practice's database has the newest schema, if it lacks that.
pub(crate) async fn note_schema(practice: &Practice, store: &Store) -> Result<()> {
    let newest = tenant::migrate::newest();
    if practice.is_current(newest, zones::version()) {
        return Ok(());
    }
    let version = practice.schema_version.unwrap_or(newest).max(newest);
    let noted = store.note_schema_version(&practice.practicepass, version, zones::version()).await;
    noted.map_err(|error| Error::store(practice.practicepass.as_str(), error))
}

/// Returns a function that wraps an error of this database, with its cause.
pub(crate) fn failed(name: &str) -> impl Fn(sql::Error) -> Error {
    move |error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Error::Store(format!("{name}: {error}{}", cause.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::SECRETS_PREFIX;
    use crate::template::STACK;

    #[test]
    fn operator_secrets_use_the_prefix_functions_may_read() {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
        let template = std::fs::read_to_string(template).unwrap();
        let (_, output) = template.split_once("\n  PracticeSecretsPrefix:\n").unwrap();
        let prefix = output.lines().find_map(|line| line.trim().strip_prefix("Value: !Sub ")).unwrap();
        assert!(template.contains(&format!(":secret:{prefix}*")), "{prefix}");
        assert_eq!(prefix.replace("${AWS::StackName}", STACK), SECRETS_PREFIX);
    }
}
