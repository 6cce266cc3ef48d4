//! Rotation of the admin secret: adds a new one beside the previous one, then ends the previous
//! one.

use std::io::Write as _;

use shared::auth::WhichSecret;

use crate::error::{Error, Result};
use crate::random;
use crate::secret_pair::{Stored, pair_of, read, write};
use crate::{Operator, roll_out};

const LENGTH: usize = 43;
/// Allowed lengths of a secret that the operator provides.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=512;

impl Operator {
    /// Makes a new secret current, the given one or a random one.
    ///
    /// The previous one stays valid until [`Self::end_admin_secret`]. A random secret is shown
    /// before it becomes current, so that an interruption never leaves a current secret that nobody
    /// knows.
    pub async fn rotate_admin_secret(&self, given: Option<String>) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        if stored.previous.is_some() {
            return Err(Error::Refused(
                "a rotation is in progress: both secrets are valid. Once nobody uses the previous one (the \
                    audit log names the credential of each call), run this with --finish; if nobody has the \
                    new one, with --abort"
                    .to_owned(),
            ));
        }
        let current = if let Some(given) = given {
            fits_a_header(&given)?;
            given
        } else {
            let made = random::alphanumeric(LENGTH)?;
            show(&format!("New admin secret, shown only once: {made}"))?;
            made
        };
        let new = Stored { current, previous: Some(stored.current) };
        write(&self.secrets, &self.names.admin_secrets, &new).await?;
        roll_out("The new secret is current").await;
        println!("Both secrets are valid. Next: distribute the new one, then run this with --finish.");
        Ok(())
    }

    /// Invalidates the previous secret and its sessions; `offered` must be the current secret.
    pub async fn end_admin_secret(&self, offered: &str) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        if pair_of(&stored)?.recognize(offered) != Some(WhichSecret::Current) {
            return Err(Error::Refused(
                "that is not the current secret; nothing was changed. --abort makes the previous one current \
                    again".to_owned(),
            ));
        }
        if stored.previous.is_none() {
            println!("There is no previous secret. Nothing was changed.");
            return Ok(());
        }
        write(&self.secrets, &self.names.admin_secrets, &Stored { previous: None, ..stored }).await?;
        println!(
            "The previous secret is rejected within 5 minutes, or within an hour while Secrets Manager is \
                down."
        );
        Ok(())
    }

    /// Makes the previous secret current again and invalidates the new one.
    pub async fn take_back_admin_secret(&self) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        let Some(before) = stored.previous else {
            println!("There is no previous secret. Nothing was changed.");
            return Ok(());
        };
        write(&self.secrets, &self.names.admin_secrets, &Stored { current: before, previous: None }).await?;
        println!("The previous secret is current again; the new one is rejected within 5 minutes.");
        Ok(())
    }
}

/// Prints the secret; fails if standard output is not writable.
fn show(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let shown = writeln!(out, "{line}").and_then(|()| out.flush());
    shown.map_err(Error::io("could not show the new secret; nothing was changed"))
}

/// Rejects a secret that an HTTP header could not carry unchanged.
fn fits_a_header(secret: &str) -> Result<()> {
    if secret.bytes().all(|byte| byte.is_ascii_graphic()) && LENGTHS.contains(&secret.len()) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the admin secret must be {} to {} visible ASCII characters without spaces",
        LENGTHS.start(),
        LENGTHS.end()
    )))
}

#[cfg(test)]
mod tests {
    use super::fits_a_header;

    #[test]
    fn a_secret_must_fit_in_a_header() {
        fits_a_header("!dmin~secret-of-the-tests-0123456").unwrap();
        for bad in ["short", "pässwörter-sind-länger-als-32-byte", "a secret of the tests with spaces in it"]
        {
            fits_a_header(bad).unwrap_err();
        }
        fits_a_header(&"a".repeat(513)).unwrap_err();
    }
}
