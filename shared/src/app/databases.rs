//! Opening of databases, with retries if a connection string was replaced.

use super::{App, Error};
use crate::sql;
use crate::{
    auth::{CatalogGrant, PracticeGrant, secret_ref::SecretRef},
    catalog::CatalogDb,
    control,
    tenant::{TenantDb, practices::Location},
};

/// The number of attempts to open a database.
///
/// The pool may be older than the cached connection string, and that older than the secret.
const ATTEMPTS: usize = 3;

impl App {
    /// Opens the database of the practice that `grant` is for.
    ///
    /// If the database rejects the login, the connection string may have been replaced. It is then
    /// read again, and opening is retried; no work has begun by then.
    ///
    /// # Errors
    /// Also if the practice is no longer registered.
    pub async fn open(&self, grant: &PracticeGrant) -> Result<TenantDb, Error> {
        let mut attempt = 1;
        loop {
            let mut used = None;
            let opened = self.open_once(grant, &mut used).await;
            let Err(Error::Tenant(error)) = &opened else { return opened };
            if !error.is_refused_login() || attempt == ATTEMPTS {
                return opened;
            }
            if let Some((secret, dsn)) = used
                && self.secrets.newer(&secret, &dsn, self.clock.now()).await?.is_none()
            {
                return opened;
            }
            self.practices.forget(grant.practicepass());
            attempt += 1;
        }
    }

    /// Opens the database once.
    ///
    /// `used` receives the secret and the connection string, if the database was not open before.
    async fn open_once(
        &self,
        grant: &PracticeGrant,
        used: &mut Option<(SecretRef, String)>,
    ) -> Result<TenantDb, Error> {
        let now = self.clock.now();
        let db = self
            .practices
            .open(grant, now, async || {
                let practice = self
                    .control
                    .practice(grant.practicepass())
                    .await?
                    .ok_or_else(|| sql::Error::Registry("no such practice".into()))?;
                let dsn = self.secrets.get(&practice.dsn_secret, now).await?.to_string();
                *used = Some((practice.dsn_secret, dsn.clone()));
                Ok::<_, Error>(Location { dsn, time_zone: practice.time_zone })
            })
            .await?;
        db.prepare().await?;
        Ok(db)
    }

    /// Opens the database of products and the knowledge base, in the same way as [`Self::open`].
    pub async fn open_catalog(&self, grant: &CatalogGrant) -> Result<CatalogDb, Error> {
        let missing = control::Error::NotConfigured("CATALOG_DSN_SECRET");
        let secret = self.config.catalog_dsn.as_ref().ok_or(missing)?;
        let now = self.clock.now();
        let mut attempt = 1;
        loop {
            let mut used = None;
            let db = self
                .catalogs
                .open(grant, now, async || {
                    let dsn = self.secrets.get(secret, now).await?;
                    used = Some(dsn.clone());
                    Ok::<_, Error>(dsn)
                })
                .await?;
            let Err(error) = db.prepare().await else { return Ok(db) };
            if !error.is_refused_login() || attempt == ATTEMPTS {
                return Err(error.into());
            }
            if let Some(dsn) = used
                && self.secrets.newer(secret, &dsn, now).await?.is_none()
            {
                return Err(error.into());
            }
            self.catalogs.forget();
            attempt += 1;
        }
    }
}
