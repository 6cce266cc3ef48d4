//! The ways to the databases, and round a connection string that was replaced.

use super::{App, Error};
use crate::{
    auth::{CatalogGrant, PracticeGrant, secret_ref::SecretRef},
    catalog::CatalogDb,
    control,
    tenant::{self, TenantDb, practices::Location},
};

/// A pool may be older than the kept connection string, and that one than the secret: so many are tried.
const ATTEMPTS: usize = 3;

impl App {
    /// The database of the practice that `grant` opens.
    ///
    /// When the database lets nobody in, the connection string may have been replaced: it is read anew, and nothing has been
    /// begun yet.
    ///
    /// # Errors
    /// Also when the practice has left the registry.
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

    /// `used`: the secret and its text that the database was opened with, if it wasn't open.
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
                    .ok_or_else(|| tenant::Error::Registry("no such practice".into()))?;
                let dsn = self.secrets.get(&practice.dsn_secret, now).await?.to_string();
                *used = Some((practice.dsn_secret, dsn.clone()));
                Ok::<_, Error>(Location { dsn, time_zone: practice.time_zone })
            })
            .await?;
        db.prepare().await?;
        Ok(db)
    }

    /// The database of products and knowledge base, as [`Self::open`].
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
