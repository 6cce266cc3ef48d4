//! Bodies that are judged by more than their own text, too.

use serde_json::{Map, Value};

use super::{ApiError, ApiResult, FieldErrors, FieldValue, Fields, FromFields, Source};

/// A body as far as it could be read. What is wrong with it is told only when the stores have been asked too, so that
/// every bad field is named at once.
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
    /// The value of one field, if it is there and right; what is wrong with it is known already.
    pub fn peek<F: FieldValue>(&self, name: &str) -> Option<F> {
        self.object.get(name).and_then(|value| F::read(Source::Json(value)).ok())
    }

    /// Whether anything is wrong with the body's own text.
    pub fn is_readable(&self) -> bool {
        self.read.is_ok()
    }

    /// Whether something is wrong with this field.
    pub fn is_wrong(&self, name: &str) -> bool {
        let location = format!("body.{name}");
        self.read.as_ref().is_err_and(|errors| errors.listed().iter().any(|error| error.location == location))
    }

    /// # Errors
    /// 422 with every bad field, `more` included.
    pub fn judge(&self, more: impl Into<FieldErrors>) -> ApiResult<()> {
        let mut all = self.read.as_ref().err().cloned().unwrap_or_default();
        all.append(more.into());
        if all.is_empty() { Ok(()) } else { Err(ApiError::fields(all)) }
    }

    /// The body, if nothing is wrong with it.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub fn judged(self, more: impl Into<FieldErrors>) -> ApiResult<T> {
        self.judge(more)?;
        self.read.map_err(ApiError::fields)
    }
}
