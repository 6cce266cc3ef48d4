//! Tests and replaces the connection string of a practice's database or of the catalog.

use ::migrate::{Check, Secret, Status, Task};
use shared::auth::secret_ref::SecretRef;
use shared::sql::ConnectionString;

use crate::error::{Error, Result};
use crate::{
    Operator,
    migrate::{CATALOG, outcome_of, require},
};

impl Operator {
    /// Stores a practice's new connection string in its secret, after verifying that it opens that
    /// practice's database. With `empty`, an empty database may replace one that has data.
    pub async fn set_practice_dsn(&self, practice: &str, dsn: &str, empty: bool) -> Result<()> {
        let entry = self.registered(practice).await?;
        let SecretRef::SecretsManager(secret) = entry.dsn_secret else {
            return Err(Error::Refused(format!("the connection string of {practice} is not in a secret")));
        };
        let practices = vec![practice.to_owned()];
        let task = Task { practices, pending: true, new: empty, ..Task::default() };
        self.replace(practice, &secret, dsn, task).await?;
        let noted = self.migrate_one(practice).await;
        noted.map_err(|error| Error::Refused(format!("{error}\nThe new connection string is current")))?;
        say_next(practice);
        Ok(())
    }

    /// Stores the catalog's new connection string in its secret, after verifying that the database
    /// belongs to no practice and migrating it. `empty` as in [`Self::set_practice_dsn`].
    pub async fn set_catalog_dsn(&self, dsn: &str, empty: bool) -> Result<()> {
        let task = Task { catalog: true, pending: true, new: empty, ..Task::default() };
        self.replace(CATALOG, &self.names.catalog, dsn, task).await?;
        say_next("the catalog");
        Ok(())
    }

    /// Tests a connection string of a practice or the catalog from where the functions run.
    ///
    /// Tests the given one, or the current one if `dsn` is `None`. Changes nothing.
    pub async fn check_dsn(&self, database: &str, dsn: Option<&str>) -> Result<()> {
        if let Some(dsn) = dsn {
            self.validate(dsn)?;
        }
        let practice = (database != CATALOG).then(|| database.to_owned());
        let check = Check { practice, dsn: dsn.map(|it| Secret(it.to_owned())) };
        let task = Task { check: Some(check), ..Task::default() };
        println!("Testing the connection string of {database} …");
        let outcome = outcome_of(self.invoker.invoke(&task).await?, database);
        let outcome = outcome.and_then(|it| require(it, &[Status::Usable]));
        let outcome =
            outcome.map_err(|cause| Error::Refused(format!("{database}: {cause}; nothing was changed")))?;
        for found in outcome.found {
            println!("  {found}");
        }
        println!("The connection string works.");
        Ok(())
    }

    async fn replace(&self, database: &str, secret: &str, dsn: &str, task: Task) -> Result<()> {
        self.validate(dsn)?;
        self.secrets.put_pending(secret, dsn).await?;
        let outcome = outcome_of(self.invoker.invoke(&task).await?, database);
        outcome.and_then(|it| require(it, &[Status::Usable])).map_err(|cause| {
            Error::Refused(format!("{database}: {cause}; the connection string is unchanged"))
        })?;
        // Storing the same value again would overwrite the previous version, which a roll-back
        // needs.
        if self.secrets.get(secret).await?.as_deref() == Some(dsn) {
            return Ok(());
        }
        self.secrets.put(secret, dsn).await
    }

    /// Validates a connection string without connecting.
    pub(super) fn validate(&self, dsn: &str) -> Result<()> {
        let schemes = if self.data_dir.is_some() {
            &["postgres://", "postgresql://", "sqlite://"][..]
        } else {
            &["postgres://", "postgresql://"][..]
        };
        if schemes.iter().any(|scheme| dsn.starts_with(scheme)) {
            if self.data_dir.is_none()
                && let Some(mode) = weak_sslmode(dsn)
            {
                return Err(Error::Refused(format!(
                    "sslmode={mode} allows unencrypted patient data; omit it (verify-full) or use verify-ca \
                        or require"
                )));
            }
            let checked = ConnectionString::of(dsn).check();
            return checked.map_err(|error| Error::Refused(error.to_string()));
        }
        let or_file = if self.data_dir.is_some() { ", or sqlite:///path/of/a/file" } else { "" };
        Err(Error::Refused(format!(
            "the connection string must be postgres://user:password@host:port/database{or_file}"
        )))
    }
}

/// Returns the `sslmode` of a connection string if it does not require encryption.
fn weak_sslmode(dsn: &str) -> Option<String> {
    let url = url::Url::parse(ConnectionString::of(dsn).dsn()).ok()?;
    let modes = url.query_pairs().filter(|(name, _)| name == "sslmode" || name == "ssl-mode");
    modes
        .map(|(_, mode)| mode.to_ascii_lowercase())
        .find(|mode| matches!(mode.as_str(), "disable" | "allow" | "prefer"))
}

fn say_next(database: &str) {
    println!(
        "New connections to {database} use the new connection string within 15 minutes, or immediately if \
            the database"
    );
    println!("rejects the previous one. Keep the previous one valid for 15 minutes, then remove it.");
}

#[cfg(test)]
mod tests {
    use super::weak_sslmode;

    #[test]
    fn an_sslmode_that_allows_plaintext_is_detected() {
        for mode in ["disable", "allow", "prefer", "Disable"] {
            assert!(weak_sslmode(&format!("postgres://a:b@db.example/c?sslmode={mode}")).is_some(), "{mode}");
            assert!(
                weak_sslmode(&format!("postgres://a:b@db.example/c?x=1&ssl-mode={mode}")).is_some(),
                "{mode}"
            );
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            assert!(weak_sslmode(&format!("postgres://a:b@db.example/c?sslmode={mode}")).is_none(), "{mode}");
        }
        assert!(weak_sslmode("postgres://a:sslmode=disable@db.example/c").is_none());
    }
}
