//! Another connection string for a practice's database or the catalog.

use serde_json::{Value, json};
use shared::auth::secret_ref::SecretRef;
use shared::tenant::ConnectionString;

use super::{
    Operator,
    migrate::{CATALOG, outcome_of},
};
use crate::error::{Error, Result};

impl Operator {
    /// Puts a practice's new connection string into its secret, once it was seen to open that practice's database. `empty`: it may
    /// be one that holds nothing, in the place of one that does.
    pub async fn set_practice_dsn(&self, practice: &str, dsn: &str, empty: bool) -> Result<()> {
        let entry = self.registered(practice).await?;
        let SecretRef::SecretsManager(secret) = entry.dsn_secret else {
            return Err(Error::Refused(format!("the connection string of {practice} is no secret")));
        };
        let event = json!({ "practices": [practice], "pending": true, "new": empty });
        self.replace(practice, &secret, dsn, event).await?;
        let noted = self.migrate_one(practice).await;
        noted.map_err(|error| Error::Refused(format!("{error}\nits new connection string is current")))?;
        say_next(practice);
        Ok(())
    }

    /// Puts the catalog's new connection string into its secret, once its database was seen to be no practice's and was
    /// migrated. `empty`: as for a practice.
    pub async fn set_catalog_dsn(&self, dsn: &str, empty: bool) -> Result<()> {
        let event = json!({ "catalog": true, "pending": true, "new": empty });
        self.replace(CATALOG, &self.names.catalog, dsn, event).await?;
        say_next("the catalog");
        Ok(())
    }

    /// Tries a connection string of a practice's, or of the catalog's, where functions would use it: the one that is handed over, or
    /// the one of now. Nothing is changed.
    pub async fn check_dsn(&self, database: &str, dsn: Option<&str>) -> Result<()> {
        if let Some(dsn) = dsn {
            self.judge(dsn)?;
        }
        let practice = (database != CATALOG).then_some(database);
        let event = json!({ "check": { "practice": practice, "dsn": dsn } });
        println!("Trying the connection string of {database} …");
        let outcome = outcome_of(&self.invoker.invoke(&event).await?, database);
        if outcome["status"] != "usable" {
            let cause = outcome["error"].as_str().unwrap_or("no cause given");
            return Err(Error::Refused(format!("{database}: {cause}; nothing was changed")));
        }
        for found in outcome["found"].as_array().into_iter().flatten() {
            println!("  {}", found.as_str().unwrap_or_default());
        }
        println!("It is good.");
        Ok(())
    }

    async fn replace(&self, database: &str, secret: &str, dsn: &str, event: Value) -> Result<()> {
        self.judge(dsn)?;
        self.secrets.put_pending(secret, dsn).await?;
        let outcome = outcome_of(&self.invoker.invoke(&event).await?, database);
        if outcome["status"] != "usable" {
            let cause = outcome["error"].as_str().unwrap_or("no cause given");
            return Err(Error::Refused(format!(
                "{database}: {cause}; its connection string is the one before"
            )));
        }
        // Put once more, it would take the place of the one before, which undoing needs.
        if self.secrets.get(secret).await?.as_deref() == Some(dsn) {
            return Ok(());
        }
        self.secrets.put(secret, dsn).await
    }

    /// A connection string, as far as it can be judged without connecting.
    pub(super) fn judge(&self, dsn: &str) -> Result<()> {
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
                    "sslmode={mode} lets patient data travel unencrypted; leave it out (verify-full) or use verify-ca or require"
                )));
            }
            let checked = ConnectionString::of(dsn).check();
            return checked.map_err(|error| Error::Refused(error.to_string()));
        }
        let or_file = if self.data_dir.is_some() { ", or sqlite:///path/of/a/file" } else { "" };
        Err(Error::Refused(format!(
            "a connection string is postgres://user:password@host:port/database{or_file}"
        )))
    }
}

/// The mode of a connection string that doesn't insist on encryption.
fn weak_sslmode(dsn: &str) -> Option<String> {
    let url = url::Url::parse(ConnectionString::of(dsn).dsn()).ok()?;
    let modes = url.query_pairs().filter(|(name, _)| name == "sslmode" || name == "ssl-mode");
    modes
        .map(|(_, mode)| mode.to_ascii_lowercase())
        .find(|mode| matches!(mode.as_str(), "disable" | "allow" | "prefer"))
}

fn say_next(database: &str) {
    println!(
        "New connections of {database} are made with the new connection string within 15 minutes, or at once when the"
    );
    println!("database refuses the one before. Let that one be good for 15 minutes; then take it away.");
}

#[cfg(test)]
mod tests {
    use super::weak_sslmode;

    #[test]
    fn a_mode_that_does_not_insist_on_encryption_is_seen() {
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
