//! Secrets, from the environment or from Secrets Manager, kept for a few minutes.

mod kept;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use aws_sdk_secretsmanager::{Client, types::SecretVersionsListEntry};
use jiff::{SignedDuration, Timestamp};

use super::{Error, Result, aws};
use crate::auth::secret_ref::SecretRef;
use kept::Kept;

/// A rotated secret is seen after so long, also by a holder that finds nothing wrong with the value before.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
/// While Secrets Manager can't be reached, a value is used for so long rather than that all calls fail. It is also how long
/// a value that was taken out may still be believed then.
pub const MAX_AGE_IN_AN_OUTAGE: SignedDuration = SignedDuration::from_hours(1);
/// Whoever is refused with a value may ask for a newer one so often, in each process: strangers with made-up key ids can't
/// turn it into a flood of calls. A change is known everywhere by then, when it is needed.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// The staging label of a version that began a rotation, or went on with one. The next one without it ends the rotation.
pub const ROTATING: &str = "ROTATING";

/// What can be known of a secret's current version without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentVersion {
    /// `None` when that isn't on record.
    pub created_at: Option<Timestamp>,
    /// A rotation was begun and not finished.
    pub rotating: bool,
}

#[derive(Default)]
pub struct Secrets {
    /// Values of `env:` references that are not taken from the environment.
    fixed: HashMap<String, Arc<str>>,
    client: OnceLock<Client>,
    kept: Mutex<HashMap<String, Arc<Kept>>>,
}

impl Secrets {
    /// With the values of `env:` references given, as tests have them.
    pub fn fixed<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let fixed = values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { fixed, ..Self::default() }
    }

    /// With a client of the caller's, as tests and operators' commands have.
    pub fn with_client(client: Client) -> Self {
        Self { client: client.into(), ..Self::default() }
    }

    /// The secret's text, as it was at most [`MAX_AGE`] ago, or [`MAX_AGE_IN_AN_OUTAGE`] while nobody tells a newer one.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] when its environment variable is not set; as Secrets Manager fails.
    pub async fn get(&self, secret: &SecretRef, now: Timestamp) -> Result<Arc<str>> {
        match secret {
            SecretRef::Environment(name) => self.of_environment(name),
            SecretRef::SecretsManager(id) => self.kept(id).get(now, || self.fetch(id, "AWSCURRENT")).await,
        }
    }

    /// The secret's text when it isn't `held`, the one that somebody was just refused with. `None`: there is no newer one, or
    /// it was asked for within the last [`PAUSE`].
    ///
    /// # Errors
    /// When it can't be known whether there is a newer one.
    pub async fn newer(&self, secret: &SecretRef, held: &str, now: Timestamp) -> Result<Option<Arc<str>>> {
        let value = match secret {
            SecretRef::Environment(name) => self.of_environment(name)?,
            SecretRef::SecretsManager(id) => {
                self.kept(id).newest(held, now, || self.fetch(id, "AWSCURRENT")).await?
            }
        };
        Ok((*value != *held).then_some(value))
    }

    /// The value that was put beside the secret's own to be tried (`AWSPENDING`).
    ///
    /// # Errors
    /// Also when there is none.
    pub async fn pending(&self, secret: &SecretRef) -> Result<Arc<str>> {
        match secret {
            SecretRef::Environment(_) => Err(Error::NotConfigured("a value to be tried")),
            SecretRef::SecretsManager(id) => self.fetch(id, "AWSPENDING").await,
        }
    }

    /// The secret's current version; `None` for one of the environment. It is asked for each time.
    ///
    /// # Errors
    /// As Secrets Manager fails.
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

    fn kept(&self, id: &str) -> Arc<Kept> {
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
