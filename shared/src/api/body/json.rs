//! JSON objects, and the names they may not hold twice.

use std::{collections::HashMap, fmt};

use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::{ApiError, Code, Fields, FromFields, RawObject};
use crate::api::{FieldError, FieldErrors, field_errors::shown};

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
pub fn repeated(bytes: &[u8], place: &str) -> FieldErrors {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.deserialize_map(Names { place }).unwrap_or_default()
}

/// Looks for the names that an object holds more than once.
struct Names<'a> {
    place: &'a str,
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = FieldErrors;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldErrors, A::Error> {
        let mut seen: HashMap<String, bool> = HashMap::new();
        let mut errors = FieldErrors::default();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
            match seen.get_mut(&name) {
                // Told once, however often it comes.
                Some(told) if !*told => {
                    *told = true;
                    errors.push_with(|| FieldError {
                        location: format!("{}.{}", self.place, shown(&name)),
                        code: "DUPLICATE_FIELD",
                        message: "is given more than once".to_owned(),
                    });
                }
                Some(_) => (),
                None => {
                    seen.insert(name, false);
                }
            }
        }
        Ok(errors)
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let place = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
    ApiError::new(Code::MalformedJson, place)
}

fn no_object() -> ApiError {
    ApiError::new(Code::MalformedJson, "The body must be a JSON object.")
}
