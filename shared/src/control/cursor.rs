//! Where a list continues.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The sort key after which a list continues. Callers get it as text that means nothing to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) String);

impl Cursor {
    /// Encodes the cursor for URLs.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Decodes it; whether the list has such keys is for the list to say.
    pub fn parse(text: &str) -> Option<Self> {
        let key = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (1..=1024).contains(&key.len()).then_some(Self(key))
    }
}
