//! JSON objects, and the names they may not hold twice.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::{ApiError, Code, FieldError, Fields, FromFields, RawObject};

pub(super) fn parse<T: FromFields>(bytes: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let object = value.as_object().ok_or_else(no_object)?;
    T::read(Fields::of_body(object).noting(repeated(bytes, "body"))).map_err(ApiError::fields)
}

/// The fields of the body, each as it is written.
///
/// # Errors
/// 400 when it is not a JSON object.
pub fn raw_object(bytes: &[u8]) -> Result<RawObject<'_>, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| if error.is_data() { no_object() } else { malformed(&error) })
}

/// What is wrong with an object at `place` that names a field twice: readers would differ in which value they take.
pub fn repeated(bytes: &[u8], place: &str) -> Vec<FieldError> {
    let Ok(Repeated(names)) = serde_json::from_slice(bytes) else { return Vec::new() };
    let error = |name: String| FieldError {
        location: format!("{place}.{}", name.chars().take(100).collect::<String>()),
        code: "DUPLICATE_FIELD",
        message: "is given more than once".to_owned(),
    };
    names.into_iter().map(error).collect()
}

/// The names that an object holds more than once.
struct Repeated(BTreeSet<String>);

impl<'de> Deserialize<'de> for Repeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Repeated;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Repeated, A::Error> {
        let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
        while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
            if !seen.insert(name.clone()) {
                repeated.insert(name);
            }
        }
        Ok(Repeated(repeated))
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let place = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
    ApiError::new(Code::MalformedJson, place)
}

fn no_object() -> ApiError {
    ApiError::new(Code::MalformedJson, "The body must be a JSON object.")
}
