//! A secret that can be rotated without an interruption: the administrators' or the edge's.
//!
//! During a rotation, both the current and the previous secret are accepted.

use serde::{Deserialize, Serialize};

use super::{equal_in_constant_time, sha256_hex};

/// The length that the template has Secrets Manager generate. Much shorter secrets can be guessed.
const MIN_LENGTH: usize = 32;
const MAX_LENGTH: usize = 512;

/// Which of the accepted secrets was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhichSecret {
    Current,
    /// Still accepted. It can be removed once nobody presents it.
    Previous,
}

/// The accepted secrets: the current one and, during a rotation, the previous one.
pub struct SecretPair {
    pub(super) current: String,
    pub(super) previous: Option<String>,
}

impl std::fmt::Debug for SecretPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretPair").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SecretPairError {
    #[error("the secret is not JSON of the form {{\"current\":\"<secret>\",\"previous\":\"<secret>\"}}")]
    Malformed,
    #[error("a secret must have 32 to 512 characters")]
    Weak,
}

impl SecretPair {
    /// Parses `{"current":"<secret>","previous":"<secret>"}`; `previous` is optional.
    ///
    /// Fails closed: if one secret is weak, neither is accepted.
    pub fn from_secret(text: &str) -> Result<Self, SecretPairError> {
        #[derive(Deserialize)]
        struct Stored {
            current: String,
            previous: Option<String>,
        }
        let stored: Stored = serde_json::from_str(text).map_err(|_| SecretPairError::Malformed)?;
        let strong = |secret: &String| (MIN_LENGTH..=MAX_LENGTH).contains(&secret.len());
        if !strong(&stored.current) || !stored.previous.iter().all(strong) {
            return Err(SecretPairError::Weak);
        }
        Ok(Self { current: stored.current, previous: stored.previous })
    }

    /// Returns a proof that binds a session to the secret that began it.
    ///
    /// Without the session's id, the proof does not help to guess the secret.
    pub fn bind(&self, session: &str, secret: WhichSecret) -> Option<String> {
        let secret = match secret {
            WhichSecret::Current => Some(self.current.as_str()),
            WhichSecret::Previous => self.previous.as_deref(),
        };
        secret.map(|secret| proof(session, secret))
    }

    /// Whether a session is bound to a secret that is still accepted.
    pub fn is_bound(&self, session: &str, bound: &str) -> bool {
        let same = |secret: &str| equal_in_constant_time(proof(session, secret).as_bytes(), bound.as_bytes());
        same(&self.current) || self.previous.as_deref().is_some_and(same)
    }

    /// Returns which secret was offered, if any. Takes constant time.
    pub fn recognize(&self, offered: &str) -> Option<WhichSecret> {
        let same = |secret: &str| equal_in_constant_time(offered.as_bytes(), secret.as_bytes());
        let current = same(&self.current);
        let previous = self.previous.as_deref().is_some_and(same);
        match (current, previous) {
            (true, _) => Some(WhichSecret::Current),
            (false, true) => Some(WhichSecret::Previous),
            (false, false) => None,
        }
    }
}

fn proof(session: &str, secret: &str) -> String {
    sha256_hex(format!("{session}\n{secret}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn both_secrets_are_accepted_during_a_rotation() {
        let both = format!(r#"{{"current":"{ONE}","previous":"{TWO}"}}"#);
        let secrets = SecretPair::from_secret(&both).unwrap();
        assert_eq!(secrets.recognize(ONE), Some(WhichSecret::Current));
        assert_eq!(secrets.recognize(TWO), Some(WhichSecret::Previous));
        for wrong in ["", " ", &ONE[1..], &format!("{ONE} ")] {
            assert_eq!(secrets.recognize(wrong), None);
        }
        let one = SecretPair::from_secret(&format!(r#"{{"current":"{ONE}"}}"#)).unwrap();
        assert_eq!(one.recognize(TWO), None);
    }

    #[test]
    fn a_short_empty_or_missing_secret_is_never_accepted() {
        for bad in [
            "",
            "{}",
            r#""text""#,
            r#"{"current":""}"#,
            r#"{"current":"short"}"#,
            &format!(r#"{{"current":"{ONE}","previous":""}}"#),
        ] {
            assert!(SecretPair::from_secret(bad).is_err(), "{bad}");
        }
    }
}
