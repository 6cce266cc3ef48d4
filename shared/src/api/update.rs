//! Partial updates by callers who send back what they have read: GET, change, PUT.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ApiError, ApiResult, FieldError, FieldErrors, FieldValue, Fields, FromFields, Reading, Source};

/// A body that changes a record which we also return.
pub trait UpdateOf: FromFields {
    /// The record's fields that callers read and cannot change.
    const READ_ONLY: &'static [&'static str];
    /// Those of them that change by themselves, so that a caller's copy may be old.
    const MOVING: &'static [&'static str] = &[];
}

/// The body of a partial update, to be read beside the record that is stored.
///
/// A field that says what is stored already is no change, whatever rules it breaks: the EMR may have written it. The rules
/// apply to the fields that differ, and a read-only field must not.
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
    /// The value of one field, if it is there and right.
    pub fn peek<F: FieldValue>(&self, name: &str) -> Option<F> {
        self.object.get(name).and_then(|value| F::read(Source::Json(value)).ok())
    }

    /// One field as it was sent.
    pub fn sent(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// The changes of the record, which callers read as `stored`.
    ///
    /// # Errors
    /// 422 with every bad field.
    pub fn against(&self, stored: &impl Serialize) -> ApiResult<T> {
        let (changes, errors) = self.changes(stored)?;
        T::read(Fields::of_body(&changes).noting(errors)).map_err(ApiError::fields)
    }

    /// As [`Self::against`], for changes that the stores judge, too.
    pub fn reading(&self, stored: &impl Serialize) -> ApiResult<Reading<T>> {
        let (changes, errors) = self.changes(stored)?;
        Reading::read(Fields::of_body(&changes).noting(errors)).map_err(ApiError::fields)
    }

    /// The fields that differ from what is stored, and what is wrong with the others.
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

    /// The error of an update of a record that is not there: 404, or 422 when the body is no update of any record.
    pub fn of_nothing(&self) -> ApiError {
        let mut changes = self.object.clone();
        changes.retain(|name, _| !T::READ_ONLY.iter().chain(T::MOVING).any(|it| it == name));
        let read = T::read(Fields::of_body(&changes).noting(self.errors.clone()));
        read.err().map_or_else(ApiError::not_found, ApiError::fields)
    }
}

/// The error of a read-only field that says something else.
pub fn read_only(place: &str, name: &str) -> FieldError {
    FieldError {
        location: format!("{place}.{name}"),
        code: "READ_ONLY_FIELD",
        message: "can't be changed; leave it out or send the value that was read".to_owned(),
    }
}

/// Whether a caller's copy of a value says the same: programs write numbers and times in their own ways.
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

/// Whether both are one integer, of which one may be written as digits in a string, or as `5.0`.
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
    fn a_copy_says_the_same_however_a_program_writes_it() {
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
