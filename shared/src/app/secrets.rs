//! Token keys, and the secrets of the administrators and the edge.
//!
//! A caller may present a key or secret that is newer than the cached ones. So before an unknown
//! one is rejected, the newest are read.

use jiff::Timestamp;

use super::{App, Error};
use crate::{
    auth::{
        SecretPair, WhichSecret,
        secret_ref::SecretRef,
        token::{Claims, TokenRing},
    },
    control,
};

impl App {
    /// Returns the keys that sign and verify tokens.
    pub async fn token_ring(&self) -> Result<TokenRing, Error> {
        let text = self.secrets.get(self.token_keys()?, self.clock.now()).await?;
        Ok(TokenRing::from_secret(&text, &self.config.token_issuer)?)
    }

    /// Returns the claims of a token that we issued and that is valid at `now`.
    ///
    /// If its key is unknown, the newest keys are read.
    ///
    /// # Errors
    /// If the keys are unusable, or the newest keys cannot be read.
    pub async fn verify_token(&self, token: &str, now: Timestamp) -> Result<Option<Claims>, Error> {
        let secret = self.token_keys()?;
        let held = self.secrets.get(secret, now).await?;
        let ring = TokenRing::from_secret(&held, &self.config.token_issuer)?;
        if !ring.lacks_key_of(token) {
            return Ok(ring.verify(token, now));
        }
        let Some(newer) = self.secrets.newer(secret, &held, now).await? else { return Ok(None) };
        Ok(TokenRing::from_secret(&newer, &self.config.token_issuer)?.verify(token, now))
    }

    /// Returns the accepted values of `X-Admin-Secret`.
    ///
    /// # Errors
    /// Also if no secret is configured or one is too short; then nobody is an administrator.
    pub async fn admin_secrets(&self) -> Result<SecretPair, Error> {
        let text = self.secrets.get(self.admin_secrets_ref()?, self.clock.now()).await?;
        Ok(SecretPair::from_secret(&text)?)
    }

    /// Returns which accepted admin secret was offered, if any.
    ///
    /// # Errors
    /// As [`Self::admin_secrets`], and if the newest secrets cannot be read.
    pub async fn recognize_admin(&self, offered: &str) -> Result<Option<WhichSecret>, Error> {
        self.ask(self.admin_secrets_ref()?, |secrets| secrets.recognize(offered)).await
    }

    /// Whether a session is bound to an admin secret that is still accepted.
    ///
    /// # Errors
    /// As [`Self::recognize_admin`].
    pub async fn is_bound(&self, session: &str, proof: &str) -> Result<bool, Error> {
        let secret = self.admin_secrets_ref()?;
        let bound = self.ask(secret, |secrets| secrets.is_bound(session, proof).then_some(())).await?;
        Ok(bound.is_some())
    }

    /// Decrypts a text that was encrypted for this `context`, if its secret is still accepted.
    ///
    /// # Errors
    /// As [`Self::recognize_admin`].
    pub async fn unseal(&self, sealed: &str, context: &str) -> Result<Option<String>, Error> {
        self.ask(self.admin_secrets_ref()?, |secrets| secrets.unseal(sealed, context)).await
    }

    /// Whether this is the secret that only the portal's CloudFront distribution knows.
    ///
    /// `false` if the secret cannot be read: no call is rejected for that reason.
    pub async fn is_from_the_edge(&self, offered: &str) -> bool {
        let Some(secret) = &self.config.edge_secret else { return false };
        match self.ask(secret, |secrets| secrets.recognize(offered)).await {
            Ok(found) => found.is_some(),
            Err(error) => {
                tracing::warn!(%error,
                    "the edge secret cannot be read; the caller's address that the edge sent is ignored");
                false
            }
        }
    }

    /// Asks the cached secrets and, if they give no answer, the newest ones.
    async fn ask<T>(
        &self,
        secret: &SecretRef,
        check: impl Fn(&SecretPair) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let now = self.clock.now();
        let held = self.secrets.get(secret, now).await?;
        if let Some(answer) = check(&SecretPair::from_secret(&held)?) {
            return Ok(Some(answer));
        }
        Ok(match self.secrets.newer(secret, &held, now).await? {
            Some(text) => check(&SecretPair::from_secret(&text)?),
            None => None,
        })
    }

    fn token_keys(&self) -> Result<&SecretRef, control::Error> {
        self.config.token_keys.as_ref().ok_or(control::Error::NotConfigured("TOKEN_KEYS_SECRET"))
    }

    fn admin_secrets_ref(&self) -> Result<&SecretRef, control::Error> {
        self.config.admin_secrets.as_ref().ok_or(control::Error::NotConfigured("ADMIN_SECRETS_SECRET"))
    }
}
