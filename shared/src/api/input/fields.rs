//! Reads the fields of a body or query so that all errors are reported at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, value::RawValue};

use super::blank::is_blank;
use crate::api::{FieldError, FieldErrors, field_errors::shown};

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    pub code: &'static str,
    pub message: String,
    /// The index of the list item that has the problem.
    item: Option<usize>,
    /// The problems of other items of the list, as far as they are reported.
    others: Vec<FieldProblem>,
    /// The number of further problems.
    more: usize,
}

impl FieldProblem {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), item: None, others: Vec::new(), more: 0 }
    }

    /// Combines the problems of a list's items; `None` if there are none.
    pub fn of_items(problems: impl IntoIterator<Item = (usize, Self)>) -> Option<Self> {
        let mut problems = problems.into_iter().map(|(index, it)| Self { item: Some(index), ..it });
        let mut first = problems.next()?;
        first.others = problems.by_ref().take(FieldErrors::MOST).collect();
        first.more = problems.count();
        Some(first)
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_VALUE", message)
    }

    pub fn wrong_type(expected: &str) -> Self {
        Self::new("INVALID_TYPE", format!("must be {expected}"))
    }
}

/// An object with values as raw JSON, for numbers that must stay exact.
pub type RawObject<'a> = BTreeMap<String, &'a RawValue>;

/// A value's source: JSON has types, a query only text.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Json(&'a Value),
    /// A JSON number of a [`RawObject`], as raw text.
    Number(&'a str),
    Text(&'a str),
}

impl<'a> Source<'a> {
    /// Returns the text of a JSON string or of a query parameter.
    pub fn text(self) -> Result<&'a str, FieldProblem> {
        match self {
            Self::Json(Value::String(text)) => Ok(text),
            Self::Text(text) => Ok(text),
            Self::Json(_) | Self::Number(_) => Err(FieldProblem::wrong_type("a string")),
        }
    }
}

/// A value with its own validation rule.
pub trait FieldValue: Sized {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem>;
}

/// A field: a required value, an `Option` that may be absent or null, a [`Patch`] or a [`Replace`].
pub trait FromField: Sized {
    fn absent() -> Result<Self, FieldProblem>;
    fn present(source: Source<'_>) -> Result<Self, FieldProblem>;
}

impl<T: FieldValue> FromField for T {
    fn absent() -> Result<Self, FieldProblem> {
        Err(FieldProblem::new("REQUIRED", "is required"))
    }

    fn present(source: Source<'_>) -> Result<Self, FieldProblem> {
        T::read(source)
    }
}

impl<T: FieldValue> FromField for Option<T> {
    fn absent() -> Result<Self, FieldProblem> {
        Ok(None)
    }

    fn present(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source {
            Source::Json(Value::Null) => Ok(None),
            source => not_blank(source, "send null or leave the field out").and_then(T::read).map(Some),
        }
    }
}

/// Rejects a blank JSON string in a field that may be absent.
///
/// `instead` tells the caller what to do instead.
pub(super) fn not_blank<'a>(source: Source<'a>, instead: &str) -> Result<Source<'a>, FieldProblem> {
    match source {
        Source::Json(Value::String(text)) if is_blank(text) => {
            Err(FieldProblem::new("EMPTY", format!("must not be empty; {instead}")))
        }
        source => Ok(source),
    }
}

/// The fields of one object, with the errors found so far.
pub struct Fields<'a> {
    source: Values<'a>,
    place: String,
    errors: FieldErrors,
    /// Errors that are reported after those of known fields.
    later: FieldErrors,
}

enum Values<'a> {
    Json(&'a Map<String, Value>),
    Raw(&'a RawObject<'a>),
    Query(&'a [(String, String)]),
}

impl<'a> Fields<'a> {
    pub fn of_body(object: &'a Map<String, Value>) -> Self {
        Self::of_object(object, "body".to_owned())
    }

    /// The fields of an object inside a body, e.g. at `body.products[3]`.
    pub fn of_object(object: &'a Map<String, Value>, place: String) -> Self {
        Self {
            source: Values::Json(object),
            place,
            errors: FieldErrors::default(),
            later: FieldErrors::default(),
        }
    }

    /// The same as [`Self::of_object`], with numbers as raw text.
    pub fn of_raw(object: &'a RawObject<'a>, place: String) -> Self {
        Self {
            source: Values::Raw(object),
            place,
            errors: FieldErrors::default(),
            later: FieldErrors::default(),
        }
    }

    pub fn of_query(pairs: &'a [(String, String)]) -> Self {
        Self {
            source: Values::Query(pairs),
            place: "query".to_owned(),
            errors: FieldErrors::default(),
            later: FieldErrors::default(),
        }
    }

    /// Adds errors that were found before.
    pub(in crate::api) fn noting(mut self, errors: FieldErrors) -> Self {
        self.later.append(errors);
        self
    }

    /// Returns the errors that have been found so far.
    pub(in crate::api) fn errors(&self) -> FieldErrors {
        let mut all = self.errors.clone();
        all.append(self.later.clone());
        all
    }

    /// Returns the JSON object; empty if the fields have another source.
    pub(in crate::api) fn object(&self) -> Map<String, Value> {
        match self.source {
            Values::Json(object) => object.clone(),
            Values::Raw(_) | Values::Query(_) => Map::new(),
        }
    }

    /// Reads the field with this name; if it is invalid, records the errors and returns `None`.
    pub fn take<T: FromField>(&mut self, name: &str) -> Option<T> {
        let read = match &self.source {
            Values::Json(object) => object.get(name).map(|value| T::present(Source::Json(value))),
            Values::Raw(object) => object.get(name).map(|raw| present_raw(raw)),
            Values::Query(pairs) => {
                let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
                let first = values.next();
                if values.next().is_some() {
                    self.note(name, FieldProblem::invalid("must be sent only once"));
                    return None;
                }
                first.map(|text| T::present(Source::Text(text)))
            }
        };
        read.unwrap_or_else(T::absent).map_err(|problem| self.note(name, problem)).ok()
    }

    /// Records the errors of a field, such as those of a rule that spans fields.
    pub fn note(&mut self, name: &str, mut problem: FieldProblem) {
        let (others, more) = (std::mem::take(&mut problem.others), problem.more);
        for problem in std::iter::once(problem).chain(others) {
            let item = problem.item.map(|index| format!("[{index}]")).unwrap_or_default();
            let location = || format!("{}.{name}{item}", self.place);
            let FieldProblem { code, message, .. } = problem;
            self.errors.push_with(|| FieldError { location: location(), code, message });
        }
        self.errors.omit(more);
    }

    /// Returns the value, or all errors, including those of unknown names.
    pub fn finish<T>(mut self, read: Option<T>, known: &[&str]) -> Result<T, FieldErrors> {
        let field = ("UNKNOWN_FIELD", "is not a field of this request");
        let parameter = ("UNKNOWN_PARAMETER", "is not a parameter of this request");
        let (names, (code, message)): (Box<dyn Iterator<Item = &String>>, _) = match self.source {
            Values::Json(object) => (Box::new(object.keys()), field),
            Values::Raw(object) => (Box::new(object.keys()), field),
            Values::Query(pairs) => {
                // Bounded by the size limit of path, query and headers.
                let names: BTreeSet<&String> = pairs.iter().map(|(name, _)| name).collect();
                (Box::new(names.into_iter()), parameter)
            }
        };
        self.errors.append(std::mem::take(&mut self.later));
        for name in names.filter(|name| !known.contains(&name.as_str())) {
            let location = || format!("{}.{}", self.place, shown(name));
            self.errors.push_with(|| FieldError { location: location(), code, message: message.to_owned() });
        }
        match read {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(self.errors),
        }
    }
}

fn present_raw<T: FromField>(raw: &RawValue) -> Result<T, FieldProblem> {
    // serde_json's `arbitrary_precision` would keep the digits, too, but change how every function
    // reads numbers.
    let text = raw.get();
    if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return T::present(Source::Number(text));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|_| FieldProblem::invalid("is nested too deeply or is not valid text"))?;
    T::present(Source::Json(&value))
}

/// A type that is read from known fields; [`crate::body!`] and [`crate::params!`] implement it.
pub trait FromFields: Sized {
    const NAMES: &'static [&'static str];
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;

    /// Reads the value. Override it to check rules that span fields.
    fn read(mut fields: Fields<'_>) -> Result<Self, FieldErrors> {
        let read = Self::from_fields(&mut fields);
        fields.finish(read, Self::NAMES)
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! from_fields {
    ($name:ident { $($json:literal => $field:ident : $type:ty),+ }) => {
        impl $crate::api::FromFields for $name {
            const NAMES: &'static [&'static str] = &[$($json),+];

            fn from_fields(fields: &mut $crate::api::Fields<'_>) -> Option<Self> {
                $(let $field = fields.take::<$type>($json);)+
                Some(Self { $($field: $field?),+ })
            }
        }
    };
}

/// Defines a JSON body: the struct, its schema and its reader, from one list of fields.
#[macro_export]
macro_rules! body {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $json:literal => $field:ident : $type:ty),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, utoipa::ToSchema)]
        $vis struct $name { $($(#[$field_meta])* #[schema(rename = $json)] pub $field: $type),+ }
        $crate::from_fields!($name { $($json => $field: $type),+ });
    };
}

/// Defines query parameters: the struct, its documentation and its reader, from one list.
///
/// Unknown parameters are rejected.
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $json:literal => $field:ident : $type:ty),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        $vis struct $name { $($(#[$field_meta])* #[param(rename = $json, inline)] pub $field: $type),+ }
        $crate::from_fields!($name { $($json => $field: $type),+ });
    };
}
