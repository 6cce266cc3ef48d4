//! A new practice: its secret, its entry in the registry, its schema.

use shared::auth::secret_ref::SecretRef;
use shared::control;
use shared::control::practices::Practice;
use shared::domain::{PracticePass, zones};

use super::{Operator, refused};
use crate::demo;
use crate::error::{Error, Result};

pub struct NewPractice {
    pub practicepass: String,
    pub name: String,
    pub time_zone: String,
    /// Its keys begin with `op_test_`.
    pub sandbox: bool,
    /// `None`: a file in the data folder of the stack that runs here.
    pub dsn: Option<String>,
}

impl Operator {
    /// Adds a practice, or finishes adding it; what is there and the same is left as it is.
    ///
    /// # Errors
    /// Also when the practice, or a secret of its name, is there and isn't the same.
    pub async fn add_practice(&self, new: NewPractice) -> Result<()> {
        let refuse = |reason: &str| Error::Refused(format!("{}: {reason}", new.practicepass));
        let practicepass = PracticePass::try_from(new.practicepass.as_str()).map_err(refuse)?;
        let time_zone = iana_name(&new.time_zone)?;
        let dsn = match new.dsn {
            Some(dsn) => dsn,
            None => self.file_of(&practicepass)?,
        };
        self.judge(&dsn)?;
        let prefix = self.names.practices.as_deref().ok_or_else(|| {
            Error::Refused(
                "the stack doesn't say how its practices' secrets are named; deploy it first".to_owned(),
            )
        })?;
        let secret = format!("{prefix}{practicepass}");
        let entry = Practice {
            practicepass,
            name: new.name,
            time_zone,
            dsn_secret: SecretRef::SecretsManager(secret.clone()),
            sandbox: new.sandbox,
            schema_version: None,
            tzdata: None,
        };
        let is_begun = self.is_begun(&entry).await?;
        self.keep_dsn(&secret, &dsn, is_begun).await?;
        match self.control.create_practice(&entry).await {
            Ok(()) => println!("{} is in the registry.", entry.practicepass),
            Err(control::Error::ConditionFailed) => println!("{} was in the registry.", entry.practicepass),
            Err(error) => return Err(refused(&error)),
        }
        let made = self.migrate_one(entry.practicepass.as_str()).await;
        made.map_err(|error| {
            let next = "run it again, with another connection string if this one is wrong";
            Error::Refused(format!("{error}\n{next}"))
        })?;
        println!("{} is ready; `first-partner` makes a key for it.", entry.practicepass);
        Ok(())
    }

    /// Corrects the time zone of a practice: its visits keep their local times, and their instants follow.
    ///
    /// # Errors
    /// When the practice isn't registered, or its database couldn't follow yet; then it is to be run again.
    pub async fn set_time_zone(&self, practice: &str, time_zone: &str) -> Result<()> {
        let refuse = |reason: &str| Error::Refused(format!("{practice}: {reason}"));
        let practicepass = PracticePass::try_from(practice).map_err(refuse)?;
        let time_zone = iana_name(time_zone)?;
        match self.control.set_time_zone(&practicepass, &time_zone).await {
            Ok(()) => println!("{practice} is in {time_zone} by the registry."),
            Err(control::Error::ConditionFailed) => {
                return Err(refuse("isn't registered; `add-practice` does it"));
            }
            Err(error) => return Err(refused(&error)),
        }
        self.migrate_one(practice).await.map_err(|error| {
            Error::Refused(format!("{error}\nits database still has the time zone before; run it again"))
        })?;
        println!("{practice} is in {time_zone}; its visits keep their local times.");
        Ok(())
    }

    /// The SQLite file of a practice of the stack that runs here.
    fn file_of(&self, practicepass: &PracticePass) -> Result<String> {
        let missing =
            || Error::Refused("give the connection string: --dsn-stdin or --dsn-file FILE".to_owned());
        let folder = self.data_dir.as_ref().ok_or_else(missing)?.join("practices");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let folder = std::fs::canonicalize(&folder).map_err(Error::file(&folder))?;
        demo::sqlite_dsn(&folder, practicepass.as_str())
    }

    /// Whether the practice is registered and never had a schema; refused when its entry is another one.
    async fn is_begun(&self, entry: &Practice) -> Result<bool> {
        let found = self.control.practice(&entry.practicepass).await.map_err(|error| refused(&error))?;
        let Some(found) = found else { return Ok(false) };
        if (Practice { schema_version: None, tzdata: None, ..found.clone() }) == *entry {
            return Ok(found.schema_version.is_none());
        }
        Err(Error::Refused(format!(
            "{} is registered already, as {:?} in {}; nothing was changed",
            found.practicepass, found.name, found.time_zone
        )))
    }

    /// The connection string can only be tried where functions find it; until it was good once, another may take its place.
    async fn keep_dsn(&self, secret: &str, dsn: &str, is_begun: bool) -> Result<()> {
        match self.secrets.get(secret).await? {
            None => self.secrets.create(secret, dsn).await,
            Some(kept) if kept == dsn => Ok(()),
            Some(_) if is_begun => self.secrets.put(secret, dsn).await,
            Some(_) => Err(Error::Refused(format!(
                "the secret {secret} holds another connection string; `set-practice-dsn` replaces it"
            ))),
        }
    }
}

/// The name of a time zone as the compiled database spells it.
fn iana_name(time_zone: &str) -> Result<String> {
    let zone = zones::get(time_zone);
    let name = zone.as_ref().and_then(|it| it.iana_name()).map(str::to_owned);
    name.ok_or_else(|| Error::Refused(format!("{time_zone} is no IANA time zone, such as America/New_York")))
}
