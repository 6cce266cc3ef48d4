//! Request ids.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "req_";
const TIME_BYTES: usize = 6;
const RANDOM_BYTES: usize = 12;

/// A request id, which accompanies an event from the log row of the call to the partner's endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// Parses an id; `None` if callers may not choose it.
    pub fn parse(text: &str) -> Option<Self> {
        is_acceptable(text).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RequestId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a valid request id")
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

/// Creates an id for a call that began at `now`.
///
/// The id contains this time, so that the call's record can be found without an index.
pub fn new(now: Timestamp, random: [u8; RANDOM_BYTES]) -> String {
    let mut bytes = [0; TIME_BYTES + RANDOM_BYTES];
    bytes[..TIME_BYTES].copy_from_slice(&now.as_millisecond().to_be_bytes()[8 - TIME_BYTES..]);
    bytes[TIME_BYTES..].copy_from_slice(&random);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns when a call began, to the millisecond, if [`new`] could have created its id.
///
/// Callers can choose ids, too, so there may be no such call.
pub fn time_of(id: &str) -> Option<Timestamp> {
    let bytes = URL_SAFE_NO_PAD.decode(id.strip_prefix(PREFIX)?).ok()?;
    let bytes: [u8; TIME_BYTES + RANDOM_BYTES] = bytes.try_into().ok()?;
    let mut milliseconds = [0; 8];
    milliseconds[8 - TIME_BYTES..].copy_from_slice(&bytes[..TIME_BYTES]);
    Timestamp::from_millisecond(i64::from_be_bytes(milliseconds)).ok()
}

/// Whether a caller may choose this id: 8 to 64 letters, digits, `_` or `-`.
pub fn is_acceptable(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_contains_the_start_time_of_its_call() {
        let now: Timestamp = "2026-03-09T12:00:00.123456Z".parse().unwrap();
        let id = new(now, [7; RANDOM_BYTES]);
        assert!(is_acceptable(&id), "{id}");
        assert_eq!(time_of(&id), Some("2026-03-09T12:00:00.123Z".parse().unwrap()));
        for other in ["req_abc", "my-call_0001", "", "req_", &id[1..], &format!("{id}AAAA")] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
