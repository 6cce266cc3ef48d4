//! Where a secret lies.

use serde::{Deserialize, Serialize};

/// `env:NAME`: the environment variable of that name holds it; anything else is a Secrets Manager name or ARN.
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
