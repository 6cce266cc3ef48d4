//! References to secrets.

use serde::{Deserialize, Serialize};

/// A reference to a secret.
///
/// `env:NAME` is the environment variable of that name; anything else is a name or an ARN in
/// Secrets Manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SecretRef {
    Environment(String),
    SecretsManager(String),
}

impl From<String> for SecretRef {
    fn from(text: String) -> Self {
        match text.strip_prefix("env:") {
            Some(name) => Self::Environment(name.to_owned()),
            None => Self::SecretsManager(text),
        }
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> Self {
        match secret {
            SecretRef::Environment(name) => format!("env:{name}"),
            SecretRef::SecretsManager(id) => id,
        }
    }
}
