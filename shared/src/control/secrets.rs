//! Secrets from the environment or from Secrets Manager, cached for a few minutes.

mod cached;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use aws_sdk_secretsmanager::{Client, types::SecretVersionsListEntry};
use jiff::{SignedDuration, Timestamp};

use super::{Error, Result, aws};
use crate::auth::secret_ref::SecretRef;
use cached::CachedSecret;

/// The time after which a rotated secret is picked up, even if the old value still works.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
/// How long a cached value is used while Secrets Manager is unreachable, so that calls do not fail.
///
/// During an outage a withdrawn value may remain valid for as long.
pub const MAX_AGE_IN_AN_OUTAGE: SignedDuration = SignedDuration::from_hours(1);
/// How often a process may fetch a newer value after a rejection.
///
/// Strangers with made-up key ids cannot turn this into a flood of calls. A needed change is known
/// everywhere after this time.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// The staging label of a version that started or continued a rotation.
///
/// The next version without it ends the rotation.
pub const ROTATING: &str = "ROTATING";

/// Facts about a secret's current version other than its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentVersion {
    /// `None` if the date is not recorded.
    pub created_at: Option<Timestamp>,
    /// Whether a rotation was started and not finished.
    pub rotating: bool,
}

#[derive(Default)]
pub struct Secrets {
    /// Values of `env:` references that replace environment variables.
    fixed: HashMap<String, Arc<str>>,
    client: OnceLock<Client>,
    kept: Mutex<HashMap<String, Arc<CachedSecret>>>,
}

impl Secrets {
    /// Creates a source with fixed values for `env:` references, for tests.
    pub fn fixed<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fixed = values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { fixed, ..Self::default() }
    }

    /// Creates a source with a given client, for tests and operators' commands.
    pub fn with_client(client: Client) -> Self {
        Self { client: client.into(), ..Self::default() }
    }

    /// Returns the secret's text.
    ///
    /// It is at most [`MAX_AGE`] old, or [`MAX_AGE_IN_AN_OUTAGE`] during an outage.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] if its environment variable is not set; errors of Secrets Manager.
    pub async fn get(&self, secret: &SecretRef, now: Timestamp) -> Result<Arc<str>> {
        match secret {
            SecretRef::Environment(name) => self.of_environment(name),
            SecretRef::SecretsManager(id) => self.kept(id).get(now, || self.fetch(id, "AWSCURRENT")).await,
        }
    }

    /// Returns the secret's text if it differs from `held`, the value that led to a rejection.
    ///
    /// `None` if there is no newer value, or if it was fetched within the last [`PAUSE`].
    ///
    /// # Errors
    /// If it is unknown whether there is a newer value.
    pub async fn newer(&self, secret: &SecretRef, held: &str, now: Timestamp) -> Result<Option<Arc<str>>> {
        let value = match secret {
            SecretRef::Environment(name) => self.of_environment(name)?,
            SecretRef::SecretsManager(id) => {
                self.kept(id).newest(held, now, || self.fetch(id, "AWSCURRENT")).await?
            }
        };
        Ok((*value != *held).then_some(value))
    }

    /// Returns the secret's pending value, which is being tested (`AWSPENDING`).
    ///
    /// # Errors
    /// Errors of Secrets Manager, or if there is no pending value.
    pub async fn pending(&self, secret: &SecretRef) -> Result<Arc<str>> {
        match secret {
            SecretRef::Environment(_) => Err(Error::NotConfigured("a value to be tried")),
            SecretRef::SecretsManager(id) => self.fetch(id, "AWSPENDING").await,
        }
    }

    /// Returns the secret's current version, uncached; `None` for an environment variable.
    ///
    /// # Errors
    /// Errors of Secrets Manager.
    pub async fn current_version(&self, secret: &SecretRef) -> Result<Option<CurrentVersion>> {
        let SecretRef::SecretsManager(id) = secret else { return Ok(None) };
        let listed = self.client().list_secret_version_ids().secret_id(id).send().await;
        let listed = listed.map_err(|error| Error::from_sdk("Secrets Manager", &error))?;
        let has = |version: &SecretVersionsListEntry, stage: &str| {
            version.version_stages().iter().any(|it| it == stage)
        };
        let current = listed.versions().iter().find(|version| has(version, "AWSCURRENT"));
        let current = current.ok_or_else(|| Error::Malformed("a secret without a current version".into()))?;
        let created_at = current.created_date().and_then(|at| Timestamp::from_second(at.secs()).ok());
        Ok(Some(CurrentVersion { created_at, rotating: has(current, ROTATING) }))
    }

    fn of_environment(&self, name: &str) -> Result<Arc<str>> {
        if let Some(value) = self.fixed.get(name) {
            return Ok(value.clone());
        }
        std::env::var(name).map(Arc::from).map_err(|_| Error::NotConfigured("a secret's variable"))
    }

    fn kept(&self, id: &str) -> Arc<CachedSecret> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(id.to_owned()).or_default().clone()
    }

    async fn fetch(&self, id: &str, stage: &str) -> Result<Arc<str>> {
        let output = self
            .client()
            .get_secret_value()
            .secret_id(id)
            .version_stage(stage)
            .send()
            .await
            .map_err(|error| Error::from_sdk("Secrets Manager", &error))?;
        Ok(output.secret_string().ok_or_else(|| Error::Malformed("a secret without text".into()))?.into())
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
