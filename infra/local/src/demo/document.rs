//! The file `<data-dir>/demo.json`, which says how to call the demo.

use std::path::Path;

use serde::{Deserialize, Serialize};
use shared::domain::Scope;

use crate::error::{Error, Result};
use crate::private_file;

/// What a person or a program needs to call the demo. Only the file's owner can read it, because it
/// contains secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demo {
    /// Base URL of the portal and the API, e.g. `http://127.0.0.1:8080`.
    pub base_url: String,
    pub admin_secret: String,
    pub keys: Vec<DemoKey>,
}

/// An API key of the demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoKey {
    pub name: String,
    pub practicepass: String,
    pub api_key: String,
    pub scopes: Vec<Scope>,
}

impl Demo {
    /// Reads what an earlier run wrote, if anything.
    pub(super) fn read(file: &Path) -> Result<Option<Self>> {
        match std::fs::read(file) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Error::store(&file.display().to_string(), error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(file)(error)),
        }
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::store("demo.json", error))?;
        private_file::write(file, &text)
    }
}

impl std::fmt::Display for Demo {
    /// Formats the block that is printed when the stack has started.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "  Admin    {}", self.admin_secret)?;
        for key in &self.keys {
            writeln!(f, "  Key      {}  ({}, {})", key.api_key, key.practicepass, key.name)?;
        }
        Ok(())
    }
}
