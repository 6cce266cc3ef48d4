//! Another connection string for a practice's database or the catalog.

use serde_json::{Value, json};
use shared::auth::secret_ref::SecretRef;
use shared::domain::PracticePass;

use super::{Operator, input, migrate::outcome_of, refused};
use crate::error::{Error, Result};

impl Operator {
    /// Puts a practice's new connection string into its secret, once it was seen to open that practice's database.
    pub async fn set_practice_dsn(&self, practice: &str, dsn: &str) -> Result<()> {
        let practicepass = PracticePass::try_from(practice)
            .map_err(|reason| Error::Refused(format!("{practice}: {reason}")))?;
        let entry = self.control.practice(&practicepass).await.map_err(|error| refused(&error))?;
        let entry = entry
            .ok_or_else(|| Error::Refused(format!("{practice} isn't registered; `add-practice` does it")))?;
        let SecretRef::SecretsManager(secret) = entry.dsn_secret else {
            return Err(Error::Refused(format!("the connection string of {practice} is no secret")));
        };
        let event = |pending: bool| json!({ "practices": [practice], "pending": pending });
        self.replace(practice, &secret, dsn, event).await?;
        self.migrate_one(practice).await?;
        say_next(practice);
        Ok(())
    }

    /// Puts the catalog's new connection string into its secret, once it was seen to open a database.
    pub async fn set_catalog_dsn(&self, dsn: &str) -> Result<()> {
        let event = |pending: bool| json!({ "catalog": true, "pending": pending });
        self.replace("catalog", &self.names.catalog, dsn, event).await?;
        let outcome = outcome_of(&self.invoker.invoke(&event(false)).await?, "catalog");
        must_be("catalog", &outcome, "migrated")?;
        say_next("the catalog");
        Ok(())
    }

    async fn replace(
        &self,
        database: &str,
        secret: &str,
        dsn: &str,
        event: impl Fn(bool) -> Value,
    ) -> Result<()> {
        input::dsn(dsn)?;
        self.secrets.put_pending(secret, dsn).await?;
        let outcome = outcome_of(&self.invoker.invoke(&event(true)).await?, database);
        must_be(database, &outcome, "usable")?;
        self.secrets.put(secret, dsn).await
    }
}

fn must_be(database: &str, outcome: &Value, wanted: &str) -> Result<()> {
    if outcome["status"] == wanted {
        return Ok(());
    }
    let cause = outcome["error"].as_str().unwrap_or("no cause given");
    Err(Error::Refused(format!("{database}: {cause}; its connection string is the one before")))
}

fn say_next(database: &str) {
    println!(
        "New connections of {database} are made with the new connection string within 15 minutes, or at once when the"
    );
    println!("database refuses the one before. Let that one be good for 15 minutes; then take it away.");
}
