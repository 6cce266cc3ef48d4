//! Field types of a prospect, one for each validation rule.

use serde_json::Value;
use shared::{
    api::{FieldProblem, FieldValue, Source, check_text, integer_between},
    domain::address,
    text_field,
};
use utoipa::ToSchema;

text_field! { Name, 1, 100 }
text_field! { MiddleInitial, 1, 10 }
text_field! { FullName, 1, 255 }
text_field! { ShortText, 1, 50 }
text_field! { Street, 1, 200 }
text_field! { lines PatientNotes, 1, 10_000 }
text_field! {
    /// Validated against the country of the same address.
    State, 1, 50
}
text_field! {
    /// Validated against the country of the same address.
    PostalCode, 1, 10
}

/// An ISO 3166-1 alpha-2 code or a country name.
///
/// An address without a country must be in the United States or Canada.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 60, example = "US")]
pub struct Country(String);

/// Maximum length of a comma-separated text, spaces included.
const MAX_KINDS_LENGTH: usize = 100;

/// One or more of `Patient`, `Child`, `Cash`, `Insurance` and `Guarantor`.
///
/// Send an array or a comma-separated string.
#[derive(Clone, Debug, ToSchema)]
#[schema(
    value_type = String, example = "Patient,Cash", max_length = 100,
    pattern = "^(Patient|Child|Cash|Insurance|Guarantor)(, *(Patient|Child|Cash|Insurance|Guarantor))*$",
)]
pub struct Kinds(String);

/// 1 = prospect, 0 = patient.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = i64, minimum = 0, maximum = 1)]
pub struct ProspectFlag(pub bool);

const KINDS: [&str; 5] = ["Patient", "Child", "Cash", "Insurance", "Guarantor"];

impl FieldValue for Country {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 1, 60)?;
        let problem = || FieldProblem::invalid("must be a two-letter country code or a country name");
        address::is_country(&text).then_some(Self(text)).ok_or_else(problem)
    }
}

impl From<ProspectFlag> for bool {
    fn from(flag: ProspectFlag) -> Self {
        flag.0
    }
}

impl FieldValue for ProspectFlag {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 0, 1).map(|flag| Self(flag == 1))
    }
}

impl FieldValue for Kinds {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let wrong_type = || FieldProblem::wrong_type("a string or an array of strings");
        let given: Vec<&str> = match source {
            Source::Json(Value::Array(items)) => {
                items.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong_type)?
            }
            source => {
                let text = source.text().map_err(|_| wrong_type())?;
                if text.len() > MAX_KINDS_LENGTH {
                    let problem = format!("must have at most {MAX_KINDS_LENGTH} characters");
                    return Err(FieldProblem::invalid(problem));
                }
                text.split(',').map(str::trim).collect()
            }
        };
        if given.is_empty() || !given.iter().all(|kind| KINDS.contains(kind)) {
            return Err(FieldProblem::invalid(format!("must be one or more of {}", KINDS.join(", "))));
        }
        let kept: Vec<&str> = KINDS.into_iter().filter(|kind| given.contains(kind)).collect();
        Ok(Self(kept.join(",")))
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
        pub enum $name { $(#[schema(rename = $text)] $variant),+ }

        impl FieldValue for $name {
            fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
                match source.text()? {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(FieldProblem::invalid(format!("must be one of {}", [$($text),+].join(", ")))),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => $text,)+ }.to_owned()
            }
        }
    )+};
}

choices! {
    Gender { Male = "m", Female = "f", Other = "o", Unknown = "u" }
    LifeStage {
        Infant = "Infant", Toddler = "Toddler", Child = "Child", Adolescent = "Adolescent",
        EarlyAdult = "EarlyAdult", Adult = "Adult", AllAdults = "AllAdults", Senior = "Senior"
    }
}

macro_rules! into_text {
    ($($name:ident)+) => {$(
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    )+};
}

into_text! { Country Kinds }
