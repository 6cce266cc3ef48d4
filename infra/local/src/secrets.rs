//! An emulation of Secrets Manager: creates secrets once by the template's rules, stores them in a
//! file that only its owner can read, and serves them to functions as AWS does.

mod protocol;
mod server;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::template::{Secret, SecretValue};
use crate::{private_file, random};
pub use server::SecretsServer;

pub(crate) const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// All secrets by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets(Arc<Mutex<SecretFile>>);

#[derive(Debug)]
struct SecretFile {
    file: PathBuf,
    secrets: BTreeMap<String, Stages>,
}

/// The versions of a secret by staging label: `AWSCURRENT`, `AWSPREVIOUS`, `AWSPENDING`,
/// `ROTATING`.
type Stages = BTreeMap<String, Version>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    id: String,
    value: String,
    /// `None` in files written before this field existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
}

impl Version {
    fn new(id: String, value: String) -> Self {
        Self { id, value, created_at: Some(Timestamp::now()) }
    }
}

/// The contents of the file.
#[derive(Serialize, Deserialize)]
struct Document {
    secrets: BTreeMap<String, Stages>,
}

impl Secrets {
    /// Reads the file and creates the template's secrets that it lacks.
    pub fn open(file: &Path, secrets: &[Secret]) -> Result<Self> {
        let stored = match fs::read(file) {
            Ok(text) => read(&text).map_err(|error| Error::store(&file.display().to_string(), error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Error::file(file)(error)),
        };
        let mut opened = SecretFile { file: file.to_owned(), secrets: stored };
        let mut made = false;
        for secret in secrets {
            if let Entry::Vacant(vacant) = opened.secrets.entry(secret.id.clone()) {
                let version = Version::new(random::uuid()?, make(&secret.value)?);
                vacant.insert(BTreeMap::from([(CURRENT.to_owned(), version)]));
                made = true;
            }
        }
        // Write only if something is new, so as not to undo what another program has just written.
        if made {
            opened.save()?;
        }
        Ok(Self(Arc::new(Mutex::new(opened))))
    }

    /// Returns the secret's current value.
    pub fn get(&self, name: &str) -> Option<String> {
        Some(self.version(name, CURRENT)?.value)
    }

    /// Creates a secret or sets its current value.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.put(name, CURRENT, &random::uuid()?, value)
    }

    fn exists(&self, name: &str) -> bool {
        self.file().secrets.contains_key(name)
    }

    fn version(&self, name: &str, stage: &str) -> Option<Version> {
        self.file().secrets.get(name)?.get(stage).cloned()
    }

    fn stages(&self, name: &str) -> Option<Stages> {
        self.file().secrets.get(name).cloned()
    }

    /// Sets the version of a staging label; a new current version makes the old one the previous
    /// one.
    fn put(&self, name: &str, stage: &str, id: &str, value: &str) -> Result<()> {
        let mut file = self.file();
        let stages = file.secrets.entry(name.to_owned()).or_default();
        let version = Version::new(id.to_owned(), value.to_owned());
        let before = stages.insert(stage.to_owned(), version);
        if let Some(before) = before.filter(|it| stage == CURRENT && it.id != id) {
            stages.insert(PREVIOUS.to_owned(), before);
        }
        file.save()
    }

    /// Adds a staging label to a secret's current version.
    pub fn label(&self, name: &str, stage: &str) -> Result<()> {
        let mut file = self.file();
        if let Some(stages) = file.secrets.get_mut(name)
            && let Some(version) = stages.get(CURRENT).cloned()
        {
            stages.insert(stage.to_owned(), version);
        }
        file.save()
    }

    /// Sets the creation time of a secret's current version; for tests of a secret's age.
    pub fn backdate(&self, name: &str, created_at: Timestamp) -> Result<()> {
        let mut file = self.file();
        if let Some(version) = file.secrets.get_mut(name).and_then(|stages| stages.get_mut(CURRENT)) {
            version.created_at = Some(created_at);
        }
        file.save()
    }

    fn file(&self) -> MutexGuard<'_, SecretFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretFile {
    fn save(&self) -> Result<()> {
        let document = Document { secrets: self.secrets.clone() };
        let text = serde_json::to_vec_pretty(&document).map_err(|error| Error::store("secrets", error))?;
        private_file::write(&self.file, &text)
    }
}

fn read(text: &[u8]) -> serde_json::Result<BTreeMap<String, Stages>> {
    serde_json::from_slice::<Document>(text).map(|document| document.secrets)
}

fn make(value: &SecretValue) -> Result<String> {
    match value {
        SecretValue::Random { length } => Ok(random::alphanumeric(*length)?),
        SecretValue::RandomKey { object, key, length } => {
            let mut object = object.clone();
            object.insert(key.clone(), Value::String(random::alphanumeric(*length)?));
            Ok(Value::Object(object).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn secrets_are_generated_once_from_the_template_and_stay_private() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("secrets.json");
        let mut object = Map::new();
        object.insert("active".to_owned(), json!("k1"));
        let keys = SecretValue::RandomKey { object, key: "k1".to_owned(), length: 64 };
        let wanted = [
            Secret { id: "Keys".to_owned(), value: keys },
            Secret { id: "Plain".to_owned(), value: SecretValue::Random { length: 43 } },
        ];
        let first = Secrets::open(&file, &wanted).unwrap();
        first.set("local/practices/One", "sqlite:one").unwrap();
        let keys: Value = serde_json::from_str(&first.get("Keys").unwrap()).unwrap();
        assert_eq!(keys["active"], "k1");
        assert_eq!(keys["k1"].as_str().unwrap().len(), 64);
        assert_eq!(first.get("Plain").unwrap().len(), 43);

        let second = Secrets::open(&file, &wanted).unwrap();
        assert_eq!(second.get("Plain"), first.get("Plain"));
        assert_eq!(second.get("local/practices/One").as_deref(), Some("sqlite:one"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_current_version_keeps_the_previous_one() {
        let root = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(&root.path().join("secrets.json"), &[]).unwrap();
        for value in ["one", "two"] {
            secrets.set("S", value).unwrap();
        }
        secrets.put("S", "AWSPENDING", "v", "three").unwrap();
        let value = |stage| secrets.version("S", stage).unwrap().value;
        assert_eq!(
            (value(CURRENT), value(PREVIOUS), value("AWSPENDING")),
            ("two".into(), "one".into(), "three".into())
        );
    }
}
