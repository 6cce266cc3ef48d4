//! Encryption of texts that must be stored for a while and shown again, but never stored in clear.
//!
//! Uses AES-256-GCM with a key derived from the administrators' secret, which most functions do not
//! have.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::SecretPair;

/// Separates this use of the secret from any other.
const PURPOSE: &[u8] = b"officepro kept answers 1";

impl SecretPair {
    /// Encrypts a text, which can be decrypted only with the same `context`.
    ///
    /// `nonce` must be random. Returns `None` only if the cipher fails.
    pub fn seal(&self, text: &str, context: &str, nonce: [u8; NONCE_LEN]) -> Option<String> {
        let mut sealed = text.as_bytes().to_vec();
        cipher(&self.current)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .ok()?;
        Some(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Decrypts a text that was encrypted for this `context` with either secret.
    pub fn unseal(&self, sealed: &str, context: &str) -> Option<String> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find_map(|secret| {
            let mut text = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let text = cipher(secret)?.open_in_place(nonce, Aad::from(context), &mut text).ok()?;
            String::from_utf8(text.to_vec()).ok()
        })
    }
}

fn cipher(secret: &str) -> Option<LessSafeKey> {
    let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), PURPOSE);
    UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"current":"0123456789abcdef0123456789abcdef"}"#;
    const BOTH: &str =
        r#"{"current":"fedcba9876543210fedcba9876543210","previous":"0123456789abcdef0123456789abcdef"}"#;
    const NEW: &str = r#"{"current":"fedcba9876543210fedcba9876543210"}"#;

    #[test]
    fn a_sealed_value_opens_only_in_its_place_with_a_known_secret() {
        let secrets = |text| SecretPair::from_secret(text).unwrap();
        let sealed = secrets(OLD).seal("op_live_x", "here", [7; NONCE_LEN]).unwrap();
        assert!(!sealed.contains("op_live"));
        for known in [OLD, BOTH] {
            assert_eq!(secrets(known).unseal(&sealed, "here").as_deref(), Some("op_live_x"));
        }
        assert_eq!(secrets(OLD).unseal(&sealed, "there"), None);
        assert_eq!(secrets(NEW).unseal(&sealed, "here"), None);
        assert_eq!(secrets(OLD).unseal(&sealed.replace(&sealed[20..22], "00"), "here"), None);
        assert_eq!(secrets(OLD).unseal("", "here"), None);
    }
}
