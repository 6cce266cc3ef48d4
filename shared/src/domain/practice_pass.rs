//! The practice pass (`PPass`), which identifies a practice in URLs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Names that no practice can have.
///
/// They are the first path segments of the API's own resources, and the name of the catalog in the
/// operators' commands.
pub const RESERVED: [&str; 12] = [
    "admin",
    "auth",
    "products",
    "kb",
    "me",
    "webhooks",
    "portal",
    "access-requests",
    "openapi.json",
    "openapi-admin.json",
    "health",
    "catalog",
];

// Excludes the names in `RESERVED`.
/// A practice pass: 2 to 64 letters, digits, `_` or `-`, starting with a letter or digit.
///
/// It is case-sensitive. Names of the API's own resources, such as `admin`, are reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$", example = "DemoOffice")]
pub struct PracticePass(String);

impl PracticePass {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PracticePass {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !(2..=64).contains(&text.len())
            || !text.chars().all(allowed)
            || !text.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(
                "a practice pass must be 2 to 64 letters, digits, _ or -, starting with a letter or digit",
            );
        }
        if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
            return Err("this practice pass is reserved");
        }
        Ok(Self(text))
    }
}

impl TryFrom<&str> for PracticePass {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::try_from(text.to_owned())
    }
}

impl std::fmt::Display for PracticePass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_word_in_any_case_is_not_a_practice_pass() {
        for word in RESERVED {
            assert!(PracticePass::try_from(word).is_err());
            assert!(PracticePass::try_from(word.to_uppercase()).is_err());
        }
    }

    #[test]
    fn a_practice_pass_contains_only_path_safe_characters() {
        assert!(PracticePass::try_from("DemoOffice").is_ok());
        for bad in ["", "a", "..", "a/b", "a b", "a%2F", "-ab", "é2", &"a".repeat(65)] {
            assert!(PracticePass::try_from(bad).is_err(), "{bad}");
        }
    }
}
