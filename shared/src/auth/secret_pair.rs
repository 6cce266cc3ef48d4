//! A secret that is changed without a gap, the administrators' or the edge's: the current one and, while a change is rolled
//! out, the one before it.

use serde::{Deserialize, Serialize};

use super::{equal_in_constant_time, sha256_hex};

/// As Secrets Manager generates it for the template: anything much shorter could be guessed.
const MIN_LENGTH: usize = 32;
const MAX_LENGTH: usize = 512;

/// Which of the accepted secrets was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhichSecret {
    Current,
    /// Still accepted; when nobody shows it any more, it can go.
    Previous,
}

/// What may be shown.
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
    #[error("a secret has less than 32 or more than 512 characters")]
    Weak,
}

impl SecretPair {
    /// Reads `{"current":"<secret>","previous":"<secret>"}`, the second optional. Fails closed: one secret that is weak
    /// spoils both.
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

    /// Ties a session to the secret that began it, in a form the secret can't be guessed from without the session's id.
    pub fn bind(&self, session: &str, secret: WhichSecret) -> Option<String> {
        let secret = match secret {
            WhichSecret::Current => Some(self.current.as_str()),
            WhichSecret::Previous => self.previous.as_deref(),
        };
        secret.map(|secret| proof(session, secret))
    }

    /// Whether a session was tied to a secret that is still accepted.
    pub fn is_bound(&self, session: &str, bound: &str) -> bool {
        let same = |secret: &str| equal_in_constant_time(proof(session, secret).as_bytes(), bound.as_bytes());
        same(&self.current) || self.previous.as_deref().is_some_and(same)
    }

    /// Which secret this is, if any; the time it takes tells nothing.
    pub fn recognise(&self, offered: &str) -> Option<WhichSecret> {
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
    fn both_secrets_open_while_a_change_is_rolled_out() {
        let both = format!(r#"{{"current":"{ONE}","previous":"{TWO}"}}"#);
        let secrets = SecretPair::from_secret(&both).unwrap();
        assert_eq!(secrets.recognise(ONE), Some(WhichSecret::Current));
        assert_eq!(secrets.recognise(TWO), Some(WhichSecret::Previous));
        for wrong in ["", " ", &ONE[1..], &format!("{ONE} ")] {
            assert_eq!(secrets.recognise(wrong), None);
        }
        let one = SecretPair::from_secret(&format!(r#"{{"current":"{ONE}"}}"#)).unwrap();
        assert_eq!(one.recognise(TWO), None);
    }

    #[test]
    fn a_short_empty_or_missing_secret_opens_nothing() {
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
