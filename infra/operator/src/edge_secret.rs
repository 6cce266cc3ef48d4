//! Rotation of the secret that the portal's distribution sends to the API.
//!
//! All functions learn a new secret before the distribution sends it, and accept the previous one
//! until the distribution no longer sends it.

use crate::error::{Error, Result};
use crate::random;
use crate::secret_pair::{Stored, read_version, write};
use crate::{Operator, roll_out};

const LENGTH: usize = 43;

/// The edge secret, and which version of it the distribution sends.
pub struct EdgeSecret {
    pub id: String,
    /// The version that the stack's distribution sends. `None` on a local stack, which has no
    /// distribution.
    pub shown: Option<String>,
}

impl Operator {
    /// Makes a new secret current, waits until every process can know it, and prints how to deploy
    /// it to the distribution.
    ///
    /// The previous one stays valid until [`Self::end_edge_secret`]. Until then, running this again
    /// only prints the instructions again.
    pub async fn rotate_edge_secret(&self) -> Result<()> {
        let edge = &self.names.edge;
        let (stored, _) = read_version(&self.secrets, &edge.id).await?;
        if stored.previous.is_some() {
            println!("A rotation is already in progress; continuing it.");
        } else {
            let new = Stored { current: random::alphanumeric(LENGTH)?, previous: Some(stored.current) };
            write(&self.secrets, &edge.id, &new).await?;
        }
        roll_out("The new secret is stored").await;
        let (_, version) = read_version(&self.secrets, &edge.id).await?;
        println!(
            "Both secrets are valid; the new one is version {version}. Next, deploy it to the distribution:"
        );
        println!("  infra/deploy STACK --parameter-overrides EdgeSecretVersion={version}");
        println!("Then run this command with --finish.");
        Ok(())
    }

    /// Invalidates the previous secret, once the distribution sends the current one.
    pub async fn end_edge_secret(&self) -> Result<()> {
        let edge = &self.names.edge;
        let (stored, version) = read_version(&self.secrets, &edge.id).await?;
        if stored.previous.is_none() {
            println!("There is no previous secret. Nothing was changed.");
            return Ok(());
        }
        edge.shows(&version)?;
        write(&self.secrets, &edge.id, &Stored { previous: None, ..stored }).await?;
        println!(
            "The previous secret is rejected within 5 minutes, or within an hour while Secrets Manager is \
                down."
        );
        Ok(())
    }
}

impl EdgeSecret {
    /// Fails unless the distribution sends this version.
    ///
    /// The stack's parameter is what every edge location sends: CloudFormation waits for all of
    /// them before its output has the new value.
    fn shows(&self, version: &str) -> Result<()> {
        match &self.shown {
            Some(shown) if shown != version => Err(Error::Refused(format!(
                "the distribution may still send the previous secret (EdgeSecretVersion={shown}); nothing \
                    was changed. First run: infra/deploy STACK --parameter-overrides \
                    EdgeSecretVersion={version}"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EdgeSecret;

    #[test]
    fn the_previous_secret_stays_until_the_current_version_is_deployed() {
        let edge = |shown: Option<&str>| EdgeSecret { id: "e".to_owned(), shown: shown.map(str::to_owned) };
        for early in ["unnamed", "v1", ""] {
            let said = edge(Some(early)).shows("v2").unwrap_err().to_string();
            assert!(said.contains("EdgeSecretVersion=v2"), "{said}");
        }
        edge(Some("v2")).shows("v2").unwrap();
        edge(None).shows("v2").unwrap();
    }
}
