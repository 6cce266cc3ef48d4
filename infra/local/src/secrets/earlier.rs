//! The file format of versions that passed secrets in environment variables: a value per variable.

use std::collections::BTreeMap;

use super::{CURRENT, Stages, Version};

/// Reads such a file: the template's secrets by logical id, the others by variable name.
pub(super) fn read(text: &[u8]) -> Option<BTreeMap<String, Stages>> {
    let variables: BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
    let secret = |(variable, value): (String, String)| {
        let name = variable.strip_prefix("SECRET_").unwrap_or(&variable).to_owned();
        let version = Version { id: "1".to_owned(), value, created_at: None };
        (name, BTreeMap::from([(CURRENT.to_owned(), version)]))
    };
    Some(variables.into_iter().map(secret).collect())
}
