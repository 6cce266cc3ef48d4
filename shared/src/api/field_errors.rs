//! What is wrong with a request: a short list, however much is wrong.

use serde::Serialize;
use utoipa::ToSchema;

/// Longer names are cut: what was sent as a field's name may be as long as a body.
const LONGEST_NAME: usize = 100;
/// In characters; more than any of our own.
const LONGEST_LOCATION: usize = 200;
const LONGEST_MESSAGE: usize = 500;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: `body.FirstName`, `body.scopes[2]`, `query.date`, `path.id`, `header.If-Match`. Long names are cut.
    pub location: String,
    /// `REQUIRED`, `INVALID_TYPE`, `INVALID_VALUE`, `TOO_LONG`, `UNKNOWN_FIELD`, `DUPLICATE_FIELD`, …
    #[schema(value_type = String)]
    pub code: &'static str,
    pub message: String,
}

/// The first things that are wrong with a request, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors {
    listed: Vec<FieldError>,
    omitted: usize,
}

impl FieldErrors {
    /// So many are listed.
    pub const MOST: usize = 20;

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.omitted == 0
    }

    pub fn push(&mut self, error: FieldError) {
        self.push_with(|| error);
    }

    /// As [`Self::push`]; the error is made only if it will be listed.
    pub fn push_with(&mut self, error: impl FnOnce() -> FieldError) {
        if self.listed.len() >= Self::MOST {
            self.omitted += 1;
            return;
        }
        let FieldError { location, code, message } = error();
        let (location, message) = (cut(location, LONGEST_LOCATION), cut(message, LONGEST_MESSAGE));
        self.listed.push(FieldError { location, code, message });
    }

    /// Counts errors that nobody has kept.
    pub fn omit(&mut self, count: usize) {
        self.omitted += count;
    }

    /// Adds all that another list tells of.
    pub fn append(&mut self, other: Self) {
        self.extend(other.listed);
        self.omitted += other.omitted;
    }

    /// The list, without those that are counted only.
    pub fn listed(&self) -> &[FieldError] {
        &self.listed
    }

    /// The list, and how many more there are.
    pub fn into_parts(self) -> (Vec<FieldError>, usize) {
        (self.listed, self.omitted)
    }
}

impl Extend<FieldError> for FieldErrors {
    fn extend<I: IntoIterator<Item = FieldError>>(&mut self, errors: I) {
        errors.into_iter().for_each(|error| self.push(error));
    }
}

impl From<Vec<FieldError>> for FieldErrors {
    fn from(errors: Vec<FieldError>) -> Self {
        let mut all = Self::default();
        all.extend(errors);
        all
    }
}

impl From<FieldError> for FieldErrors {
    fn from(error: FieldError) -> Self {
        vec![error].into()
    }
}

/// A name of the caller's as an error shows it.
pub(super) fn shown(name: &str) -> String {
    name.chars()
        .take(LONGEST_NAME)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

fn cut(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: usize) -> FieldError {
        FieldError {
            location: format!("body.f{number}"),
            code: "UNKNOWN_FIELD",
            message: "is not a field".into(),
        }
    }

    #[test]
    fn the_first_twenty_are_listed_and_the_others_counted() {
        let mut errors: FieldErrors = (0..15).map(error).collect::<Vec<_>>().into();
        let mut more: FieldErrors = (15..40).map(error).collect::<Vec<_>>().into();
        more.omit(60);
        errors.append(more);
        let (listed, omitted) = errors.into_parts();
        assert_eq!(listed, (0..20).map(error).collect::<Vec<_>>());
        assert_eq!(omitted, 80);
    }

    #[test]
    fn whatever_an_error_quotes_is_cut() {
        let long = FieldError { location: "ü".repeat(1 << 20), code: "X", message: "ü".repeat(1 << 20) };
        let errors = FieldErrors::from(long);
        let (listed, _) = errors.into_parts();
        assert_eq!((listed[0].location.chars().count(), listed[0].message.chars().count()), (200, 500));
        assert_eq!(shown(&"\0".repeat(1 << 20)), "\u{fffd}".repeat(100));
    }
}
