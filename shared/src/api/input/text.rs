//! Strings of limited length.

use utoipa::ToSchema;

use super::blank::is_blank;
use crate::api::{FieldProblem, FieldValue, Source};
use crate::domain::fold::is_ignorable;

/// The maximum number of words in one search, which bounds the cost of a query.
const MAX_WORDS: usize = 8;

/// The search text: 1 to 8 words. A blank text returns everything.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 200,
    pattern = r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$")]
pub struct SearchWords(pub Vec<String>);

impl FieldValue for SearchWords {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 0, 200)?;
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.len() > MAX_WORDS {
            return Err(FieldProblem::new("TOO_LONG", format!("must have at most {MAX_WORDS} words")));
        }
        Ok(Self(words))
    }
}

/// Returns the trimmed text if it is one line of `min` to `max` characters.
pub fn check_text(text: &str, min: usize, max: usize) -> Result<String, FieldProblem> {
    check(text, min, max, |c| !c.is_control() && !reorders(c))
}

/// The same as [`check_text`], for several lines.
pub fn check_text_lines(text: &str, min: usize, max: usize) -> Result<String, FieldProblem> {
    check(text, min, max, |c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

fn check(text: &str, min: usize, max: usize, allowed: impl Fn(char) -> bool) -> Result<String, FieldProblem> {
    let trimmed = text.trim();
    let length = trimmed.chars().count();
    if length < min || (min > 0 && is_blank(trimmed)) {
        return Err(FieldProblem::new(
            "TOO_SHORT",
            if min == 1 {
                "must not be empty".to_owned()
            } else {
                format!("must have at least {min} characters")
            },
        ));
    }
    if length > max {
        return Err(FieldProblem::new("TOO_LONG", format!("must have at most {max} characters")));
    }
    if !trimmed.chars().all(allowed) {
        return Err(FieldProblem::invalid("must not contain control characters"));
    }
    Ok(trimmed.to_owned())
}

/// Whether a character changes the order in which the characters after it are displayed.
///
/// With it, one line could pass for another. Marks and joiners (U+200C to U+200F), which some
/// scripts need, do not count.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Defines a type for a name exactly as a list returns it: `listed_text! { /// doc  Name }`.
///
/// The EMR's programs have other rules for names than this API.
#[macro_export]
macro_rules! listed_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, utoipa::ToSchema)]
        #[schema(value_type = String, min_length = 1, max_length = 2000)]
        pub struct $name(pub String);

        impl $crate::api::FieldValue for $name {
            fn read(source: $crate::api::Source<'_>) -> Result<Self, $crate::api::FieldProblem> {
                $crate::api::check_listed(source.text()?).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }
    };
}

/// Returns the text unchanged if it has 1 to 2000 characters.
pub fn check_listed(text: &str) -> Result<String, FieldProblem> {
    match text.chars().count() {
        0 => Err(FieldProblem::new("TOO_SHORT", "must not be empty")),
        1..=2000 => Ok(text.to_owned()),
        _ => Err(FieldProblem::new("TOO_LONG", "must have at most 2000 characters")),
    }
}

/// The same as [`check_text`], for names that identify people.
///
/// Invisible characters are rejected.
pub fn check_name(text: &str, min: usize, max: usize) -> Result<String, FieldProblem> {
    // Allow joiners, which some scripts need.
    let hides = |c: char| {
        is_ignorable(c) && !matches!(c, '\u{200c}' | '\u{200d}') || matches!(c, '\u{200b}' | '\u{2800}')
    };
    if text.contains(hides) {
        return Err(FieldProblem::invalid("must not contain invisible characters"));
    }
    check_text(text, min, max)
}

/// Defines a string type of limited length: `text_field! { /// doc  Name, 1, 100 }`.
///
/// `lines` before the name allows line breaks; `name` rejects invisible characters.
#[macro_export]
macro_rules! text_field {
    ($(#[$doc:meta])* lines $name:ident, $min:tt, $max:tt) => {
        $crate::text_field!(
            @ $crate::api::check_text_lines,
            "^(?![\\s\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\u0300-\\u036f\\u20d0-\\u20ff]*$)[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]+$", $(#[$doc])* $name, $min, $max
        );
    };
    ($(#[$doc:meta])* name $name:ident, $min:tt, $max:tt) => {
        $crate::text_field!(@ $crate::api::check_name,
            "^(?![\\s\\u200c\\u200d\\u0300-\\u036f\\u20d0-\\u20ff]*$)[^\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufff8]+$", $(#[$doc])* $name, $min, $max);
    };
    ($(#[$doc:meta])* $name:ident, $min:tt, $max:tt) => {
        $crate::text_field!(@ $crate::api::check_text,
            "^(?![\\s\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\u0300-\\u036f\\u20d0-\\u20ff]*$)[^\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]+$", $(#[$doc])* $name, $min, $max);
    };
    (@ $check:path, $pattern:tt, $(#[$doc:meta])* $name:ident, $min:tt, $max:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, utoipa::ToSchema)]
        #[schema(value_type = String, min_length = $min, max_length = $max, pattern = $pattern)]
        pub struct $name(pub String);

        impl $crate::api::FieldValue for $name {
            fn read(source: $crate::api::Source<'_>) -> Result<Self, $crate::api::FieldProblem> {
                $check(source.text()?, $min, $max).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }
    };
}
