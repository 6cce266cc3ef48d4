//! The errors of a request, as a list of limited length.

use serde::Serialize;
use utoipa::ToSchema;

/// The length to which field names are cut. A name can be as long as the body.
const LONGEST_NAME: usize = 100;
/// The length to which locations are cut, in characters. All of our own are shorter.
const LONGEST_LOCATION: usize = 200;
/// The length to which messages are cut, in characters. All of our own are shorter.
const LONGEST_MESSAGE: usize = 500;

/// One error in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where the error is: `body.FirstName`, `body.scopes[2]`, `query.date`, `path.id`,
    /// `header.If-Match`. Long names are cut.
    pub location: String,
    /// What kind of error it is: `REQUIRED`, `INVALID_TYPE`, `INVALID_VALUE`, `TOO_LONG`,
    /// `UNKNOWN_FIELD`, `DUPLICATE_FIELD`, …
    #[schema(value_type = String)]
    pub code: &'static str,
    pub message: String,
}

/// The first errors of a request, and the number of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors {
    listed: Vec<FieldError>,
    omitted: usize,
}

impl FieldErrors {
    /// The maximum number of listed errors.
    pub const MOST: usize = 20;

    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.omitted == 0
    }

    pub fn push(&mut self, error: FieldError) {
        self.push_with(|| error);
    }

    /// The same as [`Self::push`], but creates the error only if it will be listed.
    pub fn push_with(&mut self, error: impl FnOnce() -> FieldError) {
        if self.listed.len() >= Self::MOST {
            self.omitted += 1;
            return;
        }
        let FieldError { location, code, message } = error();
        let (location, message) = (cut(location, LONGEST_LOCATION), cut(message, LONGEST_MESSAGE));
        self.listed.push(FieldError { location, code, message });
    }

    /// Counts errors without listing them.
    pub fn omit(&mut self, count: usize) {
        self.omitted += count;
    }

    /// Adds the errors of another list, including those that it only counts.
    pub fn append(&mut self, other: Self) {
        self.extend(other.listed);
        self.omitted += other.omitted;
    }

    /// Returns the listed errors, without those that are only counted.
    pub fn listed(&self) -> &[FieldError] {
        &self.listed
    }

    /// Returns the listed errors and the number of the others.
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

/// Returns a caller's name as an error shows it: shortened and without control characters.
pub(in crate::api) fn shown(name: &str) -> String {
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
    fn the_first_twenty_errors_are_listed_and_the_rest_counted() {
        let mut errors: FieldErrors = (0..15).map(error).collect::<Vec<_>>().into();
        let mut more: FieldErrors = (15..40).map(error).collect::<Vec<_>>().into();
        more.omit(60);
        errors.append(more);
        let (listed, omitted) = errors.into_parts();
        assert_eq!(listed, (0..20).map(error).collect::<Vec<_>>());
        assert_eq!(omitted, 80);
    }

    #[test]
    fn a_quoted_value_is_truncated() {
        let long = FieldError { location: "ü".repeat(1 << 20), code: "X", message: "ü".repeat(1 << 20) };
        let errors = FieldErrors::from(long);
        let (listed, _) = errors.into_parts();
        assert_eq!((listed[0].location.chars().count(), listed[0].message.chars().count()), (200, 500));
        assert_eq!(shown(&"\0".repeat(1 << 20)), "\u{fffd}".repeat(100));
    }
}
