//! The file as it was when functions got secrets by environment variables: a text for each variable.

use std::collections::BTreeMap;

use super::{CURRENT, Stages, Version};

/// The secrets of such a file: those of the template by their logical ids, the others by their variables.
pub(super) fn read(text: &[u8]) -> Option<BTreeMap<String, Stages>> {
    let variables: BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
    let secret = |(variable, value): (String, String)| {
        let name = variable.strip_prefix("SECRET_").unwrap_or(&variable).to_owned();
        let version = Version { id: "1".to_owned(), value, created_at: None };
        (name, BTreeMap::from([(CURRENT.to_owned(), version)]))
    };
    Some(variables.into_iter().map(secret).collect())
}
