//! Adds a practice: its secret, its registry entry and its schema.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use shared::auth::secret_ref::SecretRef;
use shared::control;
use shared::control::audit::FieldChange;
use shared::control::practices::Practice;
use shared::control::secrets;
use shared::domain::{PracticePass, zones};
use shared::tenant::practices;

use crate::access::{commit, record};
use crate::error::{Error, Result};
use crate::{Operator, refused};

/// How long processes may still use the database of a removed practice.
///
/// In an outage a secret is used beyond its maximum age, and a pool that it opened lives on after
/// that; the extra minute covers calls in progress.
const HELD: SignedDuration =
    SignedDuration::from_secs(secrets::MAX_AGE_IN_AN_OUTAGE.as_secs() + practices::MAX_AGE.as_secs() + 60);

pub struct NewPractice {
    pub practicepass: String,
    pub name: String,
    pub time_zone: String,
    /// Whether it is a sandbox, whose API keys begin with `op_test_`.
    pub sandbox: bool,
    /// `None` for a SQLite file in the data folder of the local stack.
    pub dsn: Option<String>,
}

impl Operator {
    /// Adds a practice, or finishes an interrupted attempt.
    ///
    /// Existing parts that match are left unchanged. The practice is registered only after its
    /// database is verified and has the schema; until then no other command sees it.
    ///
    /// # Errors
    /// If the practice exists with other properties, or a step fails.
    pub async fn add_practice(&self, new: NewPractice) -> Result<()> {
        let refuse = |reason: &str| Error::Refused(format!("{}: {reason}", new.practicepass));
        let practicepass = PracticePass::try_from(new.practicepass.as_str()).map_err(refuse)?;
        let time_zone = iana_name(&new.time_zone)?;
        let dsn = match new.dsn {
            Some(dsn) => dsn,
            None => self.file_of(&practicepass)?,
        };
        self.validate(&dsn)?;
        let secret = self.secret_of(&practicepass);
        let entry = Practice {
            practicepass,
            name: new.name,
            time_zone,
            dsn_secret: SecretRef::SecretsManager(secret.clone()),
            sandbox: new.sandbox,
            registered_at: None,
            schema_version: None,
            tzdata: None,
        };
        let practice = entry.practicepass.as_str();
        if self.is_registered(&entry).await? {
            if self.secrets.get(&secret).await?.as_deref() != Some(dsn.as_str()) {
                return Err(Error::Refused(format!(
                    "the secret {secret} holds a different connection string; replace it with \
                        `set-practice-dsn`"
                )));
            }
            println!("{practice} is already registered.");
        } else {
            self.require_let_go(&entry.practicepass, &secret, &dsn).await?;
            self.check_dsn(practice, Some(&dsn)).await?;
            self.keep_dsn(&secret, &dsn).await?;
            self.make_schema(practice, &entry.time_zone, &secret).await.map_err(|error| {
                Error::Refused(format!(
                    "{error}\n{practice} is not registered; its connection string is stored as {secret}. Run \
                        the command again"
                ))
            })?;
            let now = Timestamp::now();
            let entry = Practice { registered_at: Some(now), ..entry.clone() };
            let write = self.control.new_practice_write(&entry);
            let added = commit(&self.control, write, &record("practices.add", practice, now)?).await;
            added.map_err(|error| refused(&error))?;
            println!("{practice} is registered.");
        }
        self.migrate_one(practice).await?;
        println!("{practice} is ready; create a key for it with `first-partner`.");
        Ok(())
    }

    /// Returns the registry entry of a practice.
    ///
    /// # Errors
    /// If the practice isn't registered.
    pub async fn registered(&self, practice: &str) -> Result<Practice> {
        let refuse = |reason: &str| Error::Refused(format!("{practice}: {reason}"));
        let practicepass = PracticePass::try_from(practice).map_err(refuse)?;
        let entry = self.control.practice(&practicepass).await.map_err(|error| refused(&error))?;
        entry.ok_or_else(|| {
            Error::Refused(format!(
                "{practice} isn't registered; add it with `add-practice` (case-sensitive)"
            ))
        })
    }

    /// Returns the name of the secret that holds a practice's connection string.
    pub(super) fn secret_of(&self, practicepass: &PracticePass) -> String {
        format!("{}{practicepass}", self.names.practices)
    }

    /// Corrects the time zone of a practice. Visits keep their local times; their instants change.
    ///
    /// # Errors
    /// If the practice isn't registered, or its database could not be updated; then run it again.
    pub async fn set_time_zone(&self, practice: &str, time_zone: &str) -> Result<()> {
        let refuse = |reason: &str| Error::Refused(format!("{practice}: {reason}"));
        let practicepass = PracticePass::try_from(practice).map_err(refuse)?;
        let time_zone = iana_name(time_zone)?;
        let before = self.registered(practice).await?.time_zone;
        let change =
            FieldChange { field: "timeZone".to_owned(), from: Some(before), to: Some(time_zone.clone()) };
        let mut audit = record("practices.update", practice, Timestamp::now())?;
        audit.fields = vec![change.field.clone()];
        audit.changes = vec![change];
        let write = self.control.time_zone_write(&practicepass, &time_zone);
        match commit(&self.control, write, &audit).await {
            Ok(()) => println!("The registry has {time_zone} for {practice}."),
            Err(control::Error::ConditionFailed) => {
                return Err(refuse("isn't registered; add it with `add-practice`"));
            }
            Err(error) => return Err(refused(&error)),
        }
        self.migrate_one(practice).await.map_err(|error| {
            Error::Refused(format!(
                "{error}\nThe database still has the previous time zone; run the command again"
            ))
        })?;
        println!("{practice} is in {time_zone} now; its visits keep their local times.");
        Ok(())
    }

    /// Returns the connection string of a practice's SQLite file on a local stack.
    fn file_of(&self, practicepass: &PracticePass) -> Result<String> {
        let missing =
            || Error::Refused("a connection string is required: --dsn-stdin or --dsn-file FILE".to_owned());
        let folder = self.data_dir.as_ref().ok_or_else(missing)?.join("practices");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let folder = std::fs::canonicalize(&folder).map_err(Error::file(&folder))?;
        sqlite_dsn(&folder, practicepass.as_str())
    }

    /// Whether the practice is registered; an error if its entry has other properties.
    async fn is_registered(&self, entry: &Practice) -> Result<bool> {
        let found = self.control.practice(&entry.practicepass).await.map_err(|error| refused(&error))?;
        let Some(found) = found else { return Ok(false) };
        let terms = Practice { registered_at: None, schema_version: None, tzdata: None, ..found.clone() };
        if terms == *entry {
            return Ok(true);
        }
        Err(Error::Refused(format!(
            "{} is already registered, as {:?} in {}; nothing was changed",
            found.practicepass, found.name, found.time_zone
        )))
    }

    /// Rejects a database other than the one that a recently removed practice of this name had,
    /// which calls could still reach.
    async fn require_let_go(&self, practicepass: &PracticePass, secret: &str, dsn: &str) -> Result<()> {
        let removed_at = self.control.removed_at(practicepass).await.map_err(|error| refused(&error))?;
        let Some(until) = removed_at.map(|it| it + HELD).filter(|until| Timestamp::now() < *until) else {
            return Ok(());
        };
        if self.secrets.get(secret).await?.as_deref() == Some(dsn) {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "{practicepass} was removed recently, and calls could reach its previous database until \
                {until:.0}. Add it after that, or now with that database or another practice pass; nothing \
                was changed"
        )))
    }

    /// Stores the secret of a practice that isn't registered; one left by an earlier attempt or a
    /// removal is not in use and may be overwritten.
    async fn keep_dsn(&self, secret: &str, dsn: &str) -> Result<()> {
        match self.secrets.get(secret).await? {
            None => self.secrets.create(secret, dsn).await,
            Some(kept) if kept == dsn => Ok(()),
            Some(_) => self.secrets.put(secret, dsn).await,
        }
    }
}

/// Returns the time zone's name as the compiled time-zone database spells it.
fn iana_name(time_zone: &str) -> Result<String> {
    let zone = zones::get(time_zone);
    let name = zone.as_ref().and_then(|it| it.iana_name()).map(str::to_owned);
    name.ok_or_else(|| {
        Error::Refused(format!("{time_zone} is not an IANA time zone such as America/New_York"))
    })
}

/// Returns the connection string of the SQLite file with this name in a folder.
///
/// # Errors
/// If the path cannot be written in a connection string.
pub fn sqlite_dsn(folder: &Path, name: &str) -> Result<String> {
    let file = folder.join(format!("{name}.sqlite"));
    let path = file.to_str().filter(|path| !path.contains(['?', '%', '#']));
    let path = path.ok_or_else(|| {
        Error::Refused(format!(
            "{}: the path of the data folder must not contain '?', '%' or '#'",
            folder.display()
        ))
    })?;
    Ok(format!("sqlite://{path}"))
}
