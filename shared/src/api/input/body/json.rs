//! Parsing of JSON objects, including the detection of duplicate fields.

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

/// Parses a body into its fields, each as raw JSON.
///
/// # Errors
/// 400 if the body is not a JSON object.
pub fn raw_object(bytes: &[u8]) -> Result<RawObject<'_>, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| if error.is_data() { no_object() } else { malformed(&error) })
}

/// Returns an error for each duplicate field of the object at `place`.
///
/// JSON readers differ in which of the values they use.
pub fn repeated(bytes: &[u8], place: &str) -> FieldErrors {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.deserialize_map(Names { place }).unwrap_or_default()
}

/// Finds the duplicate names of an object.
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
                // Report a name only once.
                Some(reported) if !*reported => {
                    *reported = true;
                    errors.push_with(|| FieldError {
                        location: format!("{}.{}", self.place, shown(&name)),
                        code: "DUPLICATE_FIELD",
                        message: "must be sent only once".to_owned(),
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
    let place = format!("The body is not valid JSON: see line {}, column {}.", error.line(), error.column());
    ApiError::new(Code::MalformedJson, place)
}

fn no_object() -> ApiError {
    ApiError::new(Code::MalformedJson, "The body must be a JSON object.")
}
