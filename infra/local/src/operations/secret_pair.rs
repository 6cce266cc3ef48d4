//! A secret with the one before it, as it is kept.

use serde::{Deserialize, Serialize};
use shared::auth::SecretPair;

use super::secret_values::SecretValues;
use crate::error::{Error, Result};

/// The secret's text.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) current: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
}

pub(super) async fn read(secrets: &SecretValues, id: &str) -> Result<Stored> {
    Ok(read_version(secrets, id).await?.0)
}

/// With the name of the version that it is.
pub(super) async fn read_version(secrets: &SecretValues, id: &str) -> Result<(Stored, String)> {
    let found = secrets.get_version(id).await?;
    let (text, version) = found.ok_or_else(|| Error::Refused(format!("there is no secret {id}")))?;
    let stored = serde_json::from_str(&text).map_err(|_| {
        Error::Refused(format!("{id} isn't {{\"current\":\"<secret>\",\"previous\":\"<secret>\"}}"))
    })?;
    Ok((stored, version))
}

/// Writes only what the functions can read.
pub(super) async fn write(secrets: &SecretValues, id: &str, stored: &Stored) -> Result<()> {
    pair_of(stored)?;
    let text = serde_json::to_string(stored).map_err(|error| Error::store(id, error))?;
    secrets.put(id, &text).await
}

/// As the functions read it.
pub(super) fn pair_of(stored: &Stored) -> Result<SecretPair> {
    let text = serde_json::to_string(stored).map_err(|error| Error::store("a secret", error))?;
    SecretPair::from_secret(&text).map_err(|error| Error::Refused(error.to_string()))
}
