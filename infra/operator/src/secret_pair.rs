//! Reads and writes a secret that is stored together with its previous value.

use serde::{Deserialize, Serialize};
use shared::auth::SecretPair;

use crate::error::{Error, Result};
use crate::secret_values::SecretValues;

/// The JSON stored in the secret.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    pub current: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

pub async fn read(secrets: &SecretValues, id: &str) -> Result<Stored> {
    Ok(read_version(secrets, id).await?.0)
}

/// Reads the pair and the id of its version.
pub async fn read_version(secrets: &SecretValues, id: &str) -> Result<(Stored, String)> {
    let found = secrets.get_version(id).await?;
    let (text, version) = found.ok_or_else(|| Error::Refused(format!("there is no secret {id}")))?;
    let stored = serde_json::from_str(&text).map_err(|_| {
        Error::Refused(format!("{id} must be {{\"current\":\"<secret>\",\"previous\":\"<secret>\"}}"))
    })?;
    Ok((stored, version))
}

/// Writes the pair; fails if the functions could not read it.
pub async fn write(secrets: &SecretValues, id: &str, stored: &Stored) -> Result<()> {
    pair_of(stored)?;
    let text = serde_json::to_string(stored).map_err(|error| Error::store(id, error))?;
    secrets.put_rotating(id, &text, stored.previous.is_some()).await
}

/// Parses the pair as the functions do.
pub fn pair_of(stored: &Stored) -> Result<SecretPair> {
    let text = serde_json::to_string(stored).map_err(|error| Error::store("a secret", error))?;
    SecretPair::from_secret(&text).map_err(|error| Error::Refused(error.to_string()))
}
