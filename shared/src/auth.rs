//! API keys, tokens and what they permit. No I/O: callers pass in the records to check.

pub mod api_key;
mod claims;
pub mod grant;
mod key_record;
mod partner_access;
mod seal;
mod secret_pair;
pub mod secret_ref;
pub mod token;
pub mod webhook_signature;

pub use grant::{Caller, CatalogGrant, Denied, PracticeGrant};
pub use key_record::{KeyRecord, KeyStatus, KeyTerms, MOST_ROTATIONS, PreviousSecret, canonical_network};
pub use partner_access::{DeliveryGrant, PartnerAccess};
pub use secret_pair::{SecretPair, SecretPairError, WhichSecret};

/// Compares two secrets in a time that does not reveal where they differ.
pub fn equal_in_constant_time(one: &[u8], other: &[u8]) -> bool {
    let digest = |bytes| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    aws_lc_rs::constant_time::verify_slices_are_equal(digest(one).as_ref(), digest(other).as_ref()).is_ok()
}

/// Returns the SHA-256 digest in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
