//! Reads and writes secrets in Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use shared::control::secrets::ROTATING;

use crate::error::{Error, Result};

pub struct SecretValues {
    client: Client,
    /// The KMS key for new secrets.
    key: Option<String>,
}

impl SecretValues {
    /// Connects with the region and credentials of the environment.
    pub fn in_aws(key: String) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            variable("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let mut config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .region(variable("AWS_REGION").map(Region::new));
        config.set_endpoint_url(variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
        Self { client: Client::from_conf(config.build()), key: Some(key) }
    }

    pub fn with_client(client: Client) -> Self {
        Self { client, key: None }
    }

    /// Returns the secret's current value, or `None` if it does not exist.
    pub async fn get(&self, id: &str) -> Result<Option<String>> {
        Ok(self.get_version(id).await?.map(|(text, _)| text))
    }

    /// Returns the secret's current value and its version id, or `None` if it does not exist.
    pub async fn get_version(&self, id: &str) -> Result<Option<(String, String)>> {
        match self.client.get_secret_value().secret_id(id).send().await {
            Ok(found) => Ok(found.secret_string.zip(found.version_id)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failed(id, &error)),
        }
    }

    /// Replaces the secret's value.
    pub async fn put(&self, id: &str, text: &str) -> Result<()> {
        let put = self.client.put_secret_value().secret_id(id).secret_string(text);
        put.send().await.map(|_| ()).map_err(|error| failed(id, &error))
    }

    /// Replaces the secret's value as [`Self::put`] does. `rotating` labels the version as an
    /// unfinished rotation, which readiness reports until a value without the label follows.
    pub async fn put_rotating(&self, id: &str, text: &str, rotating: bool) -> Result<()> {
        if !rotating {
            return self.put(id, text).await;
        }
        let put = self.client.put_secret_value().secret_id(id).secret_string(text);
        let put = put.version_stages("AWSCURRENT").version_stages(ROTATING).send().await;
        put.map(|_| ()).map_err(|error| failed(id, &error))
    }

    /// Stores a value as `AWSPENDING`, to be tested.
    pub async fn put_pending(&self, id: &str, text: &str) -> Result<()> {
        let put = self.client.put_secret_value().secret_id(id).secret_string(text);
        let put = put.version_stages("AWSPENDING").send().await;
        put.map(|_| ()).map_err(|error| failed(id, &error))
    }

    pub async fn create(&self, name: &str, text: &str) -> Result<()> {
        let create = self.client.create_secret().name(name).secret_string(text);
        let created = create.set_kms_key_id(self.key.clone()).send().await;
        created.map(|_| ()).map_err(|error| failed(name, &error))
    }
}

fn failed<E>(id: &str, error: &SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match error.code() {
        Some(code) => Error::Refused(format!("{id}: {code}: {}", error.message().unwrap_or_default())),
        None => Error::Refused(format!("{id}: {}", DisplayErrorContext(error))),
    }
}
