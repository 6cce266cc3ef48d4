//! Bodies whose validation also needs data from the stores.

use serde_json::{Map, Value};

use crate::api::{ApiError, ApiResult, FieldErrors, FieldValue, Fields, FromFields, Source};

/// A body, or its errors.
///
/// The errors are reported only after the stores have been queried, so that one response names
/// every invalid field.
#[derive(Clone, Debug)]
pub struct Reading<T> {
    read: Result<T, FieldErrors>,
    object: Map<String, Value>,
}

impl<T: FromFields> FromFields for Reading<T> {
    const NAMES: &'static [&'static str] = T::NAMES;

    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let object = fields.object();
        T::from_fields(fields).map(|body| Self { read: Ok(body), object })
    }

    fn read(fields: Fields<'_>) -> Result<Self, FieldErrors> {
        Ok(Self { object: fields.object(), read: T::read(fields) })
    }
}

impl<T> Reading<T> {
    /// Returns the value of one field, if it is present and valid. Its errors are already recorded.
    pub fn peek<F: FieldValue>(&self, name: &str) -> Option<F> {
        self.object.get(name).and_then(|value| F::read(Source::Json(value)).ok())
    }

    /// Whether the body by itself is valid.
    pub fn is_readable(&self) -> bool {
        self.read.is_ok()
    }

    /// Whether this field is invalid.
    pub fn is_wrong(&self, name: &str) -> bool {
        let location = format!("body.{name}");
        self.read.as_ref().is_err_and(|errors| errors.listed().iter().any(|error| error.location == location))
    }

    /// Checks that neither the body nor `more` has errors.
    ///
    /// # Errors
    /// 422 with every invalid field.
    pub fn validate(&self, more: impl Into<FieldErrors>) -> ApiResult<()> {
        let mut all = self.read.as_ref().err().cloned().unwrap_or_default();
        all.append(more.into());
        if all.is_empty() { Ok(()) } else { Err(ApiError::fields(all)) }
    }

    /// Returns the body if it is valid.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn validated(self, more: impl Into<FieldErrors>) -> ApiResult<T> {
        self.validate(more)?;
        self.read.map_err(ApiError::fields)
    }
}
