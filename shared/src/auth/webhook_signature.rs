//! Webhook signatures as Standard Webhooks defines them (<https://www.standardwebhooks.com>).

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "whsec_";
/// The number of random bytes in a new secret; the standard allows 24 to 64.
pub const SECRET_BYTES: usize = 32;

/// A signing secret: `whsec_` and base64. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

impl SigningSecret {
    pub fn from_random(bytes: &[u8; SECRET_BYTES]) -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Returns the complete secret, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns `v1,<base64 of HMAC-SHA256 over "<id>.<Unix seconds>.<body>">`.
    ///
    /// `None` if the stored secret is not base64.
    fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> Option<String> {
        let bytes = STANDARD.decode(self.0.strip_prefix(PREFIX).unwrap_or(&self.0)).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{}.", at.as_second()).as_bytes());
        context.update(body);
        Some(format!("v1,{}", STANDARD.encode(context.sign())))
    }
}

/// Returns the value of `webhook-signature`: one signature per valid secret, newest first.
///
/// `None` if no secret is usable.
pub fn signatures<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Option<String> {
    let signed: Vec<String> = secrets.into_iter().filter_map(|secret| secret.sign(id, at, body)).collect();
    (!signed.is_empty()).then(|| signed.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Created with the standard's own libraries: secret, id, Unix seconds, body, signature.
    const KNOWN: [(&str, &str, i64, &str, &str); 2] = [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ];

    #[test]
    fn signatures_match_those_of_the_standard_libraries() {
        for (secret, id, seconds, body, expected) in KNOWN {
            let at = Timestamp::from_second(seconds).unwrap();
            let secret = SigningSecret(secret.to_owned());
            assert_eq!(signatures([&secret], id, at, body.as_bytes()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn both_secrets_sign_during_a_rotation() {
        let (new, old) = (SigningSecret::from_random(&[1; 32]), SigningSecret::from_random(&[2; 32]));
        let both = signatures([&new, &old], "id", Timestamp::UNIX_EPOCH, b"{}").unwrap();
        let [first, second] = both.split(' ').collect::<Vec<_>>()[..] else { panic!("{both}") };
        assert_eq!(Some(first), new.sign("id", Timestamp::UNIX_EPOCH, b"{}").as_deref());
        assert_eq!(Some(second), old.sign("id", Timestamp::UNIX_EPOCH, b"{}").as_deref());
        assert_ne!(first, second);
    }

    #[test]
    fn debug_output_hides_a_secret() {
        let secret = SigningSecret::from_random(&[7; 32]);
        assert!(secret.reveal().starts_with("whsec_") && secret.reveal().len() == 50);
        assert!(!format!("{secret:?}").contains(secret.reveal()));
    }
}
