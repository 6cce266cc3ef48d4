//! Partial updates by callers who send back what they read: GET, change, PUT.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::{
    ApiError, ApiResult, FieldError, FieldErrors, FieldValue, Fields, FromFields, Reading, Source,
};

/// A body that changes a record that the API also returns.
pub trait UpdateOf: FromFields {
    /// The fields of the record that callers can read but not change.
    const READ_ONLY: &'static [&'static str];
    /// Fields that change by themselves, so that a caller's copy may be outdated; they are ignored.
    const MOVING: &'static [&'static str] = &[];
}

/// The body of a partial update, which is read in comparison with the stored record.
///
/// A field that equals the stored value is not a change, even if it breaks a rule: the EMR may have
/// written it. The rules apply to fields that differ. A read-only field must not differ.
#[derive(Clone, Debug)]
pub struct Update<T> {
    object: Map<String, Value>,
    /// Errors of the body as a whole.
    errors: FieldErrors,
    body: std::marker::PhantomData<T>,
}

impl<T: UpdateOf> FromFields for Update<T> {
    const NAMES: &'static [&'static str] = T::NAMES;

    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { object: fields.object(), errors: fields.errors(), body: std::marker::PhantomData })
    }

    fn read(mut fields: Fields<'_>) -> Result<Self, FieldErrors> {
        Self::from_fields(&mut fields).ok_or_else(FieldErrors::default)
    }
}

impl<T: UpdateOf> Update<T> {
    /// Returns the value of one field, if it is present and valid.
    pub fn peek<F: FieldValue>(&self, name: &str) -> Option<F> {
        self.object.get(name).and_then(|value| F::read(Source::Json(value)).ok())
    }

    /// Returns one field as it was sent.
    pub fn sent(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// Returns the changes of the record, which callers read as `stored`.
    ///
    /// # Errors
    /// 422 with every invalid field.
    pub fn against(&self, stored: &impl Serialize) -> ApiResult<T> {
        let (changes, errors) = self.changes(stored)?;
        T::read(Fields::of_body(&changes).noting(errors)).map_err(ApiError::fields)
    }

    /// The same as [`Self::against`], for changes whose validation also needs data from the stores.
    pub fn reading(&self, stored: &impl Serialize) -> ApiResult<Reading<T>> {
        let (changes, errors) = self.changes(stored)?;
        Reading::read(Fields::of_body(&changes).noting(errors)).map_err(ApiError::fields)
    }

    /// Returns the fields that differ from the stored record, and the errors of the others.
    fn changes(&self, stored: &impl Serialize) -> ApiResult<(Map<String, Value>, FieldErrors)> {
        let stored = serde_json::to_value(stored).map_err(|error| ApiError::internal(&error))?;
        let (mut changes, mut errors) = (self.object.clone(), self.errors.clone());
        changes.retain(|name, sent| match stored.get(name) {
            _ if T::MOVING.contains(&name.as_str()) => false,
            Some(stored) if T::READ_ONLY.contains(&name.as_str()) => {
                if !says_the_same(stored, sent) {
                    errors.push(read_only("body", name));
                }
                false
            }
            Some(stored) => !(stored == sent || same_integer(stored, sent)),
            None => true,
        });
        Ok((changes, errors))
    }

    /// Returns the error of an update of a record that does not exist.
    ///
    /// 404, or 422 if the body would be invalid for any record.
    pub fn of_nothing(&self) -> ApiError {
        let mut changes = self.object.clone();
        changes.retain(|name, _| !T::READ_ONLY.iter().chain(T::MOVING).any(|it| it == name));
        let read = T::read(Fields::of_body(&changes).noting(self.errors.clone()));
        read.err().map_or_else(ApiError::not_found, ApiError::fields)
    }
}

/// Returns the error of a read-only field with another value.
pub fn read_only(place: &str, name: &str) -> FieldError {
    FieldError {
        location: format!("{place}.{name}"),
        code: "READ_ONLY_FIELD",
        message: "cannot be changed; leave it out or send the value that you read".to_owned(),
    }
}

/// Whether a caller's copy of a value is equal: programs write numbers and times differently.
pub fn says_the_same(stored: &Value, sent: &Value) -> bool {
    match (stored, sent) {
        (Value::Object(stored), Value::Object(sent)) => {
            stored.len() == sent.len()
                && stored
                    .iter()
                    .all(|(name, value)| sent.get(name).is_some_and(|sent| says_the_same(value, sent)))
        }
        (Value::Array(stored), Value::Array(sent)) => {
            stored.len() == sent.len()
                && stored.iter().zip(sent).all(|(stored, sent)| says_the_same(stored, sent))
        }
        (Value::String(one), Value::String(two)) => {
            let instant = |text: &str| text.parse::<Timestamp>().ok();
            one == two || (instant(one).is_some() && instant(one) == instant(two))
        }
        (Value::Number(one), Value::Number(two)) => one == two || one.as_f64() == two.as_f64(),
        _ => stored == sent || same_integer(stored, sent),
    }
}

/// Whether both are the same integer; the caller may write it as `5.0` or as a string of digits.
fn same_integer(stored: &Value, sent: &Value) -> bool {
    match (stored, sent) {
        (Value::Number(stored), Value::String(sent)) => stored.is_i64() && stored.to_string() == *sent,
        (Value::Number(stored), Value::Number(sent)) => stored.as_f64() == sent.as_f64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equivalent_spellings_of_a_stored_value_are_equal() {
        for (stored, sent) in [
            (json!(5), json!("5")),
            (json!(5), json!(5.0)),
            (json!("2026-01-02T10:00:00Z"), json!("2026-01-02T05:00:00.000-05:00")),
            (json!([{ "id": 1, "name": "VIP" }]), json!([{ "name": "VIP", "id": "1" }])),
            (json!(null), json!(null)),
        ] {
            assert!(says_the_same(&stored, &sent), "{stored} {sent}");
        }
        for (stored, sent) in [
            (json!(5), json!("6")),
            (json!(5), json!(null)),
            (json!("2026-01-02T10:00:00Z"), json!("2026-01-02T10:00:01Z")),
            (json!([{ "id": 1 }]), json!([])),
            (json!([{ "id": 1 }]), json!([{ "id": 2 }])),
            (json!({ "id": 1 }), json!({ "id": 1, "name": "VIP" })),
        ] {
            assert!(!says_the_same(&stored, &sent), "{stored} {sent}");
        }
    }
}
