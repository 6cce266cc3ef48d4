//! The administrators' secret: a new one beside the one before, and the end of that one.

use serde::{Deserialize, Serialize};
use shared::auth::AdminSecrets;

use super::{Operator, roll_out, secret_values::SecretValues};
use crate::error::{Error, Result};
use crate::random;

const LENGTH: usize = 43;

/// The secret's text.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) current: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

impl Operator {
    /// Makes a new secret current, the given one or one by chance; the one before stays good until [`Self::end_admin_secret`].
    pub async fn rotate_admin_secret(&self, given: Option<String>) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        if stored.previous.is_some() {
            return Err(Error::Refused(
                "a change is under way: both secrets are good. When nobody uses the one before (the audit log names the \
                 credential of each call), run it with --finish"
                    .to_owned(),
            ));
        }
        let by_chance = given.is_none();
        let current = given.map_or_else(|| random::alphanumeric(LENGTH), Ok)?;
        let new = Stored { current, previous: Some(stored.current) };
        write(&self.secrets, &self.names.admin_secrets, &new).await?;
        if by_chance {
            println!("The new admin secret, shown this once: {}", new.current);
        }
        roll_out("It is current").await;
        println!("Both secrets are good now. Next: hand the new one out, then run it with --finish.");
        Ok(())
    }

    /// Ends the secret before the current one, and the sessions that it began.
    pub async fn end_admin_secret(&self) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        if stored.previous.is_none() {
            println!("There is no secret before the current one. Nothing was changed.");
            return Ok(());
        }
        write(&self.secrets, &self.names.admin_secrets, &Stored { previous: None, ..stored }).await?;
        println!("The secret before ends within 5 minutes; the current one is the only one.");
        Ok(())
    }
}

pub(super) async fn read(secrets: &SecretValues, id: &str) -> Result<Stored> {
    let text = secrets.get(id).await?.ok_or_else(|| Error::Refused(format!("there is no secret {id}")))?;
    serde_json::from_str(&text).map_err(|_| {
        Error::Refused(format!("{id} isn't {{\"current\":\"<secret>\",\"previous\":\"<secret>\"}}"))
    })
}

/// Writes only what the functions can read.
async fn write(secrets: &SecretValues, id: &str, stored: &Stored) -> Result<()> {
    let text = serde_json::to_string(stored).map_err(|error| Error::store(id, error))?;
    AdminSecrets::from_secret(&text).map_err(|error| Error::Refused(error.to_string()))?;
    secrets.put(id, &text).await
}
