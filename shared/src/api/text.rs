//! Bounded strings.

use super::FieldProblem;

/// The trimmed text, if it is one line of `min` to `max` characters.
pub fn check_text(text: &str, min: usize, max: usize) -> Result<String, FieldProblem> {
    check(text, min, max, |c| !c.is_control())
}

/// As [`check_text`], over several lines.
pub fn check_text_lines(text: &str, min: usize, max: usize) -> Result<String, FieldProblem> {
    check(text, min, max, |c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

fn check(text: &str, min: usize, max: usize, allowed: impl Fn(char) -> bool) -> Result<String, FieldProblem> {
    let trimmed = text.trim();
    let length = trimmed.chars().count();
    if length < min {
        return Err(FieldProblem::new(
            "TOO_SHORT",
            if min == 1 { "must not be empty".to_owned() } else { format!("needs {min} characters") },
        ));
    }
    if length > max {
        return Err(FieldProblem::new("TOO_LONG", format!("has more than {max} characters")));
    }
    if !trimmed.chars().all(allowed) {
        return Err(FieldProblem::invalid("holds a control character"));
    }
    Ok(trimmed.to_owned())
}

/// A string type of bounded length: `text_field! { /// doc  Name, 1, 100 }`; `lines` before the name allows line breaks.
#[macro_export]
macro_rules! text_field {
    ($(#[$doc:meta])* lines $name:ident, $min:tt, $max:tt) => {
        $crate::text_field!(@ $crate::api::check_text_lines, $(#[$doc])* $name, $min, $max);
    };
    ($(#[$doc:meta])* $name:ident, $min:tt, $max:tt) => {
        $crate::text_field!(@ $crate::api::check_text, $(#[$doc])* $name, $min, $max);
    };
    (@ $check:path, $(#[$doc:meta])* $name:ident, $min:tt, $max:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, utoipa::ToSchema)]
        #[schema(value_type = String, min_length = $min, max_length = $max)]
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
