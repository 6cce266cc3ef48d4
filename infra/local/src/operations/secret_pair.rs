//! Reads and writes a secret that is stored together with its previous value.

use serde::{Deserialize, Serialize};
use shared::auth::SecretPair;

use super::secret_values::SecretValues;
use crate::error::{Error, Result};

/// The JSON stored in the secret.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) current: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
}

pub(super) async fn read(secrets: &SecretValues, id: &str) -> Result<Stored> {
    Ok(read_version(secrets, id).await?.0)
}

/// Reads the pair and the id of its version.
pub(super) async fn read_version(secrets: &SecretValues, id: &str) -> Result<(Stored, String)> {
    let found = secrets.get_version(id).await?;
    let (text, version) = found.ok_or_else(|| Error::Refused(format!("there is no secret {id}")))?;
    let stored = serde_json::from_str(&text).map_err(|_| {
        Error::Refused(format!("{id} must be {{\"current\":\"<secret>\",\"previous\":\"<secret>\"}}"))
    })?;
    Ok((stored, version))
}

/// Writes the pair; fails if the functions could not read it.
pub(super) async fn write(secrets: &SecretValues, id: &str, stored: &Stored) -> Result<()> {
    pair_of(stored)?;
    let text = serde_json::to_string(stored).map_err(|error| Error::store(id, error))?;
    secrets.put_rotating(id, &text, stored.previous.is_some()).await
}

/// Parses the pair as the functions do.
pub(super) fn pair_of(stored: &Stored) -> Result<SecretPair> {
    let text = serde_json::to_string(stored).map_err(|error| Error::store("a secret", error))?;
    SecretPair::from_secret(&text).map_err(|error| Error::Refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
    use jiff::Timestamp;
    use shared::auth::secret_ref::SecretRef;
    use shared::control::Secrets;

    use super::*;
    use crate::permissions::Permissions;
    use crate::secrets::{Secrets as Vault, SecretsServer};

    #[tokio::test]
    async fn an_unfinished_rotation_is_visible_without_the_secret_value() {
        let files = tempfile::tempdir().unwrap();
        let vault = Vault::open(&files.path().join("secrets.json"), &[]).unwrap();
        vault.set("pair", "{}").unwrap();
        let server = SecretsServer::start(vault, Permissions::of_operator("tests").into()).await.unwrap();
        let client = || {
            let config = aws_sdk_secretsmanager::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(&server.endpoint)
                .region(Region::from_static("us-east-1"))
                .credentials_provider(Credentials::new("tests", "tests", None, None, "tests"));
            aws_sdk_secretsmanager::Client::from_conf(config.build())
        };
        let (operator, function) = (SecretValues::with_client(client()), Secrets::with_client(client()));
        let began = Timestamp::now().as_second();
        let secret = |name: &str| name.repeat(32);
        for (current, previous) in
            [("a", None), ("b", Some("a")), ("b", None), ("c", Some("b")), ("d", Some("c")), ("d", None)]
        {
            let stored = Stored { current: secret(current), previous: previous.map(secret) };
            write(&operator, "pair", &stored).await.unwrap();
            let version =
                function.current_version(&SecretRef::from("pair".to_owned())).await.unwrap().unwrap();
            assert_eq!(version.rotating, previous.is_some(), "{current}");
            assert!(version.created_at.unwrap().as_second() >= began);
        }
        server.stop().await;
    }
}
