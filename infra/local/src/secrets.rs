//! The stack's secrets: made once with the template's rules, kept in a file that only its owner can read, and handed
//! to functions by environment variables.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::template::{Secret, SecretValue};
use crate::{private_file, random};

/// All secrets by the environment variable that holds them.
#[derive(Debug)]
pub struct Secrets {
    file: PathBuf,
    values: BTreeMap<String, String>,
}

impl Secrets {
    /// Reads the file and makes the template's secrets that it lacks.
    pub fn open(file: &Path, secrets: &[Secret]) -> Result<Self> {
        let values = match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Error::store(&file.display().to_string(), error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Error::file(file)(error)),
        };
        let mut opened = Self { file: file.to_owned(), values };
        let mut made = false;
        for secret in secrets {
            let variable = Secret::variable_of(&secret.id);
            if let Entry::Vacant(vacant) = opened.values.entry(variable) {
                vacant.insert(make(&secret.value)?);
                made = true;
            }
        }
        // A program that only reads must not put back what another has just written.
        if made {
            opened.save()?;
        }
        Ok(opened)
    }

    /// The secret in this environment variable.
    pub fn get(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(String::as_str)
    }

    /// Keeps a secret of the stack's own, e.g. a practice's connection string; functions get it as `variable`.
    pub fn set(&mut self, variable: &str, value: &str) -> Result<()> {
        self.values.insert(variable.to_owned(), value.to_owned());
        self.save()
    }

    /// Environment variables for the functions.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.values).map_err(|error| Error::store("secrets", error))?;
        private_file::write(&self.file, &text)
    }
}

fn make(value: &SecretValue) -> Result<String> {
    match value {
        SecretValue::Random { length } => random::alphanumeric(*length),
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
    fn secrets_are_made_once_by_the_templates_rules_and_stay_private() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("secrets.json");
        let mut object = Map::new();
        object.insert("active".to_owned(), json!("k1"));
        let keys = SecretValue::RandomKey { object, key: "k1".to_owned(), length: 64 };
        let wanted = [
            Secret { id: "Keys".to_owned(), value: keys },
            Secret { id: "Plain".to_owned(), value: SecretValue::Random { length: 43 } },
        ];
        let mut first = Secrets::open(&file, &wanted).unwrap();
        first.set("PRACTICE_1", "sqlite:one").unwrap();
        let keys: Value = serde_json::from_str(first.get("SECRET_Keys").unwrap()).unwrap();
        assert_eq!(keys["active"], "k1");
        assert_eq!(keys["k1"].as_str().unwrap().len(), 64);
        assert_eq!(first.get("SECRET_Plain").unwrap().len(), 43);

        let second = Secrets::open(&file, &wanted).unwrap();
        assert_eq!(second.environment(), first.environment());
        assert_eq!(second.get("PRACTICE_1"), Some("sqlite:one"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
