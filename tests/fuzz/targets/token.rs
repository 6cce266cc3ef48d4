//! Tokens and API keys: no text is believed that wasn't issued, and none makes the parsers stumble.
#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use shared::auth::{api_key::ApiKey, token::TokenRing};

static RING: LazyLock<TokenRing> = LazyLock::new(|| {
    TokenRing::from_secret(r#"{"active":"a","a":"0123456789abcdef0123456789abcdef"}"#, "us").unwrap()
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(RING.verify(text, Timestamp::UNIX_EPOCH).is_none(), "a token that nobody issued: {text}");
    if let Some(key) = ApiKey::parse(text) {
        assert_eq!(key.reveal(), text);
    }
    if let Ok(ring) = TokenRing::from_secret(text, "us") {
        assert!(ring.verify("x.y.z", Timestamp::UNIX_EPOCH).is_none());
    }
});
