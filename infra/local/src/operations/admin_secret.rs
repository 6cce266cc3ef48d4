//! The administrators' secret: a new one beside the one before, and the end of that one.

use std::io::Write as _;

use shared::auth::WhichSecret;

use super::secret_pair::{Stored, pair_of, read, write};
use super::{Operator, roll_out};
use crate::error::{Error, Result};
use crate::random;

const LENGTH: usize = 43;
/// Of one that is given.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=512;

impl Operator {
    /// Makes a new secret current, the given one or one by chance; the one before stays good until [`Self::end_admin_secret`].
    /// One by chance is shown before it is current: cut off in between, nothing has changed, and none is current that nobody knows.
    pub async fn rotate_admin_secret(&self, given: Option<String>) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        if stored.previous.is_some() {
            return Err(Error::Refused(
                "a change is under way: both secrets are good. When nobody uses the one before (the audit log names the \
                 credential of each call), run it with --finish; if nobody has the new one, with --abort"
                    .to_owned(),
            ));
        }
        let current = if let Some(given) = given {
            fits_a_header(&given)?;
            given
        } else {
            let made = random::alphanumeric(LENGTH)?;
            show(&format!("The admin secret will be, shown this once: {made}"))?;
            made
        };
        let new = Stored { current, previous: Some(stored.current) };
        write(&self.secrets, &self.names.admin_secrets, &new).await?;
        roll_out("It is current now").await;
        println!("Both secrets are good now. Next: hand the new one out, then run it with --finish.");
        Ok(())
    }

    /// Ends the secret before the current one, and the sessions that it began, for whoever knows the current one.
    pub async fn end_admin_secret(&self, offered: &str) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        if pair_of(&stored)?.recognise(offered) != Some(WhichSecret::Current) {
            return Err(Error::Refused(
                "that is not the current secret; nothing was changed. --abort makes the one before current again".to_owned(),
            ));
        }
        if stored.previous.is_none() {
            println!("There is no secret before the current one. Nothing was changed.");
            return Ok(());
        }
        write(&self.secrets, &self.names.admin_secrets, &Stored { previous: None, ..stored }).await?;
        println!(
            "The secret before ends within 5 minutes, or an hour while Secrets Manager is down; the current one is the only one."
        );
        Ok(())
    }

    /// Makes the secret before the current one current again, and ends that one.
    pub async fn take_back_admin_secret(&self) -> Result<()> {
        let stored = read(&self.secrets, &self.names.admin_secrets).await?;
        let Some(before) = stored.previous else {
            println!("There is no secret before the current one. Nothing was changed.");
            return Ok(());
        };
        write(&self.secrets, &self.names.admin_secrets, &Stored { current: before, previous: None }).await?;
        println!("The secret before is the only one again; the new one ends within 5 minutes.");
        Ok(())
    }
}

/// The secret goes to where it is seen, or this fails.
fn show(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let shown = writeln!(out, "{line}").and_then(|()| out.flush());
    shown.map_err(Error::io("the new secret can't be shown, nothing was changed"))
}

/// What a header carries as it was typed.
fn fits_a_header(secret: &str) -> Result<()> {
    if secret.bytes().all(|byte| byte.is_ascii_graphic()) && LENGTHS.contains(&secret.len()) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "an admin secret has {} to {} visible ASCII characters and no spaces",
        LENGTHS.start(),
        LENGTHS.end()
    )))
}

#[cfg(test)]
mod tests {
    use super::fits_a_header;

    #[test]
    fn only_what_a_header_carries_can_be_given() {
        fits_a_header("!dmin~secret-of-the-tests-0123456").unwrap();
        for bad in ["short", "pässwörter-sind-länger-als-32-byte", "a secret of the tests with spaces in it"]
        {
            fits_a_header(bad).unwrap_err();
        }
        fits_a_header(&"a".repeat(513)).unwrap_err();
    }
}
