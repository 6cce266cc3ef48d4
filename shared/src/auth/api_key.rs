//! API keys: `op_live_<keyId>_<256-bit secret>_<checksum>`, `op_test_…` for sandbox practices.
//!
//! With the checksum, secret scanners and the API can reject a mistyped key without a lookup.

use crate::domain::ids::KeyId;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_ID_LENGTH: usize = 12;
/// 43 base-62 digits hold 256 bits.
const SECRET_LENGTH: usize = 43;
/// 6 base-62 digits hold 32 bits.
const CHECKSUM_LENGTH: usize = 6;

/// Whether a key is for a real practice or a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Live,
    Test,
}

impl Mode {
    /// Returns the mode of a practice's keys.
    pub fn of(sandbox: bool) -> Self {
        if sandbox { Self::Test } else { Self::Live }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Live => "op_live_",
            Self::Test => "op_test_",
        }
    }
}

/// A complete API key, including its secret. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    mode: Mode,
    pub id: KeyId,
    secret: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// Creates a key from 48 random bytes.
    pub fn from_random(mode: Mode, random: &[u8; 48]) -> Self {
        Self {
            mode,
            id: KeyId(base62(&random[..16], KEY_ID_LENGTH)),
            secret: base62(&random[16..], SECRET_LENGTH),
        }
    }

    /// Creates a new secret from 32 random bytes for the key with this visible prefix.
    pub fn renewed(visible_prefix: &str, random: &[u8; 32]) -> Option<Self> {
        let mode =
            [Mode::Live, Mode::Test].into_iter().find(|mode| visible_prefix.starts_with(mode.prefix()))?;
        let id = KeyId(visible_prefix[mode.prefix().len()..].to_owned());
        Some(Self { mode, id, secret: base62(random, SECRET_LENGTH) })
    }

    /// Parses a key; `None` if its form or checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let mode = [Mode::Live, Mode::Test].into_iter().find(|mode| text.starts_with(mode.prefix()))?;
        let mut parts = text[mode.prefix().len()..].split('_');
        let (id, secret, checksum) = (parts.next()?, parts.next()?, parts.next()?);
        let well_formed = parts.next().is_none()
            && [(id, KEY_ID_LENGTH), (secret, SECRET_LENGTH), (checksum, CHECKSUM_LENGTH)].iter().all(
                |(part, length)| part.len() == *length && part.bytes().all(|b| b.is_ascii_alphanumeric()),
            );
        if !well_formed {
            return None;
        }
        let key = Self { mode, id: KeyId(id.to_owned()), secret: secret.to_owned() };
        (key.checksum() == checksum).then_some(key)
    }

    /// Returns the id in a text that begins like a key, even if the rest is wrong.
    ///
    /// The id contains nothing of the secret.
    pub fn id_in(text: &str) -> Option<KeyId> {
        let mode = [Mode::Live, Mode::Test].into_iter().find(|mode| text.starts_with(mode.prefix()))?;
        let (id, _) = text[mode.prefix().len()..].split_once('_')?;
        let is_id = id.len() == KEY_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then(|| KeyId(id.to_owned()))
    }

    /// Returns the complete key, to be shown once.
    pub fn reveal(&self) -> String {
        format!("{}{}_{}_{}", self.mode.prefix(), self.id, self.secret, self.checksum())
    }

    /// Returns the part that can always be shown: `op_live_<keyId>`.
    pub fn visible_prefix(&self) -> String {
        format!("{}{}", self.mode.prefix(), self.id)
    }

    /// Returns the hash to store: the SHA-256 of the secret in hexadecimal.
    ///
    /// A secret of 256 random bits needs no slow hash.
    pub fn secret_hash(&self) -> String {
        super::sha256_hex(self.secret.as_bytes())
    }

    fn checksum(&self) -> String {
        let crc = crc32fast::hash(format!("{}{}_{}", self.mode.prefix(), self.id, self.secret).as_bytes());
        base62(&crc.to_be_bytes(), CHECKSUM_LENGTH)
    }
}

/// Returns the last `length` base-62 digits of the big-endian number in `bytes`.
fn base62(bytes: &[u8], length: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![0_u8; length];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        let mut random = [0_u8; 48];
        random.iter_mut().zip(17..).for_each(|(byte, n)| *byte = n);
        ApiKey::from_random(Mode::Live, &random)
    }

    #[test]
    fn a_displayed_key_parses_back() {
        let shown = key().reveal();
        assert_eq!(ApiKey::parse(&shown), Some(key()));
        assert!(shown.starts_with(&key().visible_prefix()));
        assert!(!format!("{:?}", key()).contains(&key().secret));
    }

    #[test]
    fn any_changed_character_breaks_the_checksum() {
        let shown = key().reveal();
        for at in 8..shown.len() {
            let mut bytes = shown.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(ApiKey::parse(&String::from_utf8(bytes).unwrap()), None, "position {at}");
        }
    }

    #[test]
    fn a_malformed_key_is_rejected() {
        for text in ["", "op_live_", "op_live_a_b_c", "sk_live_x", "op_live_é", &"_".repeat(80)] {
            assert_eq!(ApiKey::parse(text), None);
        }
    }
}
