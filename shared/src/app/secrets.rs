//! Token keys and secrets of administrators and of the edge: whoever shows what these don't know may be ahead of them.

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
    /// The keys that sign and verify tokens.
    pub async fn token_ring(&self) -> Result<TokenRing, Error> {
        let text = self.secrets.get(self.token_keys()?, self.clock.now()).await?;
        Ok(TokenRing::from_secret(&text, &self.config.token_issuer)?)
    }

    /// The claims of a token that is ours and valid at `now`. A key that isn't known is looked for in the newest keys.
    ///
    /// # Errors
    /// When the keys are unusable, or it can't be known whether there are newer ones.
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

    /// What `X-Admin-Secret` may be.
    ///
    /// # Errors
    /// Also when no secret is configured or one is too short: then nobody is an administrator.
    pub async fn admin_secrets(&self) -> Result<SecretPair, Error> {
        let text = self.secrets.get(self.admin_secrets_ref()?, self.clock.now()).await?;
        Ok(SecretPair::from_secret(&text)?)
    }

    /// Which of the accepted secrets this is, if any.
    ///
    /// # Errors
    /// As [`Self::admin_secrets`], and when it can't be known whether there are newer ones.
    pub async fn recognise_admin(&self, offered: &str) -> Result<Option<WhichSecret>, Error> {
        self.ask(self.admin_secrets_ref()?, |secrets| secrets.recognise(offered)).await
    }

    /// Whether a session was tied to a secret that is still accepted.
    ///
    /// # Errors
    /// As [`Self::recognise_admin`].
    pub async fn is_bound(&self, session: &str, proof: &str) -> Result<bool, Error> {
        let secret = self.admin_secrets_ref()?;
        let bound = self.ask(secret, |secrets| secrets.is_bound(session, proof).then_some(())).await?;
        Ok(bound.is_some())
    }

    /// What was sealed for this place, if its secret is still known.
    ///
    /// # Errors
    /// As [`Self::recognise_admin`].
    pub async fn unseal(&self, sealed: &str, context: &str) -> Result<Option<String>, Error> {
        self.ask(self.admin_secrets_ref()?, |secrets| secrets.unseal(sealed, context)).await
    }

    /// Whether this is the secret that only the portal's distribution knows. What can't be known is no: a call is never refused
    /// for it.
    pub async fn is_from_the_edge(&self, offered: &str) -> bool {
        let Some(secret) = &self.config.edge_secret else { return false };
        match self.ask(secret, |secrets| secrets.recognise(offered)).await {
            Ok(found) => found.is_some(),
            Err(error) => {
                tracing::warn!(%error, "the edge's secret can't be read; its word on the caller's address is not taken");
                false
            }
        }
    }

    /// What the secrets say, or, when that is nothing, what newer ones say.
    async fn ask<T>(
        &self,
        secret: &SecretRef,
        question: impl Fn(&SecretPair) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let now = self.clock.now();
        let held = self.secrets.get(secret, now).await?;
        if let Some(answer) = question(&SecretPair::from_secret(&held)?) {
            return Ok(Some(answer));
        }
        Ok(match self.secrets.newer(secret, &held, now).await? {
            Some(text) => question(&SecretPair::from_secret(&text)?),
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
