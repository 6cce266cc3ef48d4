//! Random identifiers and secrets from the operating system's generator.

use std::fmt::Write as _;

use crate::error::{Error, Result};

/// Returns `count` random bytes.
pub fn bytes(count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| Error::store("the system's random generator", error))?;
    Ok(bytes)
}

/// Formats bytes in hexadecimal, two digits each.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns a random version 4 UUID in its usual form, like AWS's request and message ids.
pub fn uuid() -> Result<String> {
    let mut random = bytes(16)?;
    random[6] = (random[6] & 0x0f) | 0x40;
    random[8] = (random[8] & 0x3f) | 0x80;
    let text = hex(&random);
    Ok(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]))
}

/// Returns `length` random letters and digits (5.95 bits each).
pub fn alphanumeric(length: usize) -> Result<String> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // Skip bytes beyond the last multiple of 62, which would favor the first letters.
        for byte in bytes(length)?.into_iter().filter(|byte| *byte < 248).take(length - text.len()) {
            text.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        }
    }
    Ok(text)
}
