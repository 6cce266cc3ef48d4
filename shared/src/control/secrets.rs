//! Secrets, from the environment or from Secrets Manager, kept for a few minutes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};

use super::{Error, Result, aws};
use crate::auth::secret_ref::SecretRef;

/// A rotated secret is seen after so long; both values must be valid for at least that time.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);

#[derive(Default)]
pub struct Secrets {
    /// Values of `env:` references that are not taken from the environment.
    fixed: HashMap<String, Arc<str>>,
    client: OnceLock<Client>,
    kept: Mutex<HashMap<String, (Arc<str>, Timestamp)>>,
}

impl Secrets {
    /// With the values of `env:` references given, as tests have them.
    pub fn fixed<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fixed = values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { fixed, ..Self::default() }
    }

    /// The secret's text, as it was at most five minutes ago.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] when its environment variable is not set; as Secrets Manager fails.
    pub async fn get(&self, secret: &SecretRef, now: Timestamp) -> Result<Arc<str>> {
        let id = match secret {
            SecretRef::Environment(name) => {
                if let Some(value) = self.fixed.get(name) {
                    return Ok(value.clone());
                }
                return std::env::var(name)
                    .map(Arc::from)
                    .map_err(|_| Error::NotConfigured("a secret's variable"));
            }
            SecretRef::SecretsManager(id) => id,
        };
        if let Some(value) = self.fresh(id, now) {
            return Ok(value);
        }
        let output = self
            .client()
            .get_secret_value()
            .secret_id(id)
            .send()
            .await
            .map_err(|error| Error::from_sdk("Secrets Manager", &error))?;
        let value: Arc<str> =
            output.secret_string().ok_or_else(|| Error::Malformed("a secret without text".into()))?.into();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), (value.clone(), now));
        Ok(value)
    }

    fn fresh(&self, id: &str, now: Timestamp) -> Option<Arc<str>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, since) = kept.get(id)?;
        (now.duration_since(*since) < MAX_AGE).then(|| value.clone())
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::from_conf(aws::config!(
                aws_sdk_secretsmanager::Config::builder(),
                "AWS_ENDPOINT_URL_SECRETS_MANAGER"
            ))
        })
    }
}
