//! The secret that the portal's distribution shows to the API: a new one is told to all functions before it is shown, and the
//! one before is believed until it isn't shown any more.

use super::secret_pair::{Stored, read_version, write};
use super::{Operator, roll_out};
use crate::error::{Error, Result};
use crate::random;

const LENGTH: usize = 43;

/// Where the secret lies and what the distribution has of it.
pub(super) struct EdgeSecret {
    pub(super) id: String,
    /// The version of the secret that the stack's distribution shows; the local stack has no distribution.
    pub(super) shown: Option<String>,
}

impl Operator {
    /// Makes another secret current, which every process knows or may ask for afterwards, and says how the distribution gets
    /// it. The one before stays good until [`Self::end_edge_secret`]. Run again before that, it says so once more.
    pub async fn rotate_edge_secret(&self) -> Result<()> {
        let edge = self.edge_secret()?;
        let (stored, _) = read_version(&self.secrets, &edge.id).await?;
        if stored.previous.is_some() {
            println!("A rotation is under way; it goes on.");
        } else {
            let new = Stored { current: random::alphanumeric(LENGTH)?, previous: Some(stored.current) };
            write(&self.secrets, &edge.id, &new).await?;
        }
        roll_out("The new secret is there").await;
        let (_, version) = read_version(&self.secrets, &edge.id).await?;
        println!(
            "Both secrets are good now; the new one is in version {version}. Next, give it to the distribution:"
        );
        println!("  infra/deploy STACK --parameter-overrides EdgeSecretVersion={version}");
        println!("and then run this with --finish.");
        Ok(())
    }

    /// Ends the secret before the current one, once the distribution shows the current one.
    pub async fn end_edge_secret(&self) -> Result<()> {
        let edge = self.edge_secret()?;
        let (stored, version) = read_version(&self.secrets, &edge.id).await?;
        if stored.previous.is_none() {
            println!("There is no secret before the current one. Nothing was changed.");
            return Ok(());
        }
        edge.shows(&version)?;
        write(&self.secrets, &edge.id, &Stored { previous: None, ..stored }).await?;
        println!("The secret before ends within 5 minutes, or an hour while Secrets Manager is down.");
        Ok(())
    }

    fn edge_secret(&self) -> Result<&EdgeSecret> {
        let missing = || Error::Refused("the stack has no such secret yet: deploy it first".to_owned());
        self.names.edge.as_ref().ok_or_else(missing)
    }
}

impl EdgeSecret {
    /// The parameter of a stack is what its distribution shows at every edge: CloudFormation waits for them, and tells the new
    /// value only then.
    fn shows(&self, version: &str) -> Result<()> {
        match &self.shown {
            Some(shown) if shown != version => Err(Error::Refused(format!(
                "the distribution may still show the secret before, by EdgeSecretVersion={shown}; nothing was changed. First: \
                 infra/deploy STACK --parameter-overrides EdgeSecretVersion={version}"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EdgeSecret;

    #[test]
    fn the_secret_before_stays_until_the_distribution_shows_the_current_version() {
        let edge = |shown: Option<&str>| EdgeSecret { id: "e".to_owned(), shown: shown.map(str::to_owned) };
        for early in ["unnamed", "v1", ""] {
            let said = edge(Some(early)).shows("v2").unwrap_err().to_string();
            assert!(said.contains("EdgeSecretVersion=v2"), "{said}");
        }
        edge(Some("v2")).shows("v2").unwrap();
        edge(None).shows("v2").unwrap();
    }
}
