//! Conditions of statements. Supports only the operators and keys that the template uses.

use serde_json::{Map, Value};

use super::Call;
use super::pattern::Pattern;

/// A condition on one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    key: Key,
    test: Test,
}

/// A condition key of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// `dynamodb:LeadingKeys`: values of the partition key.
    LeadingKeys,
    /// `dynamodb:Attributes`: names of the attributes that are read or changed.
    Attributes,
    /// `lambda:SourceFunctionArn`: the calling function; absent in Lambda's own calls.
    SourceFunctionArn,
}

#[derive(Debug, Clone)]
enum Test {
    /// `ForAllValues`: also true for a call without values of the key, such as a Scan.
    All(Matching),
    /// `ForAnyValue`, and operators on single-valued keys.
    Any(Matching),
    /// `Null`: whether the key must be missing.
    Missing(bool),
}

#[derive(Debug, Clone)]
enum Matching {
    Equals(Vec<String>),
    Like(Vec<Pattern>),
}

impl Matching {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equals(wanted) => wanted.iter().any(|it| it == value),
            Self::Like(wanted) => wanted.iter().any(|it| it.matches(value)),
        }
    }
}

impl Condition {
    /// Reads the conditions of a statement, which must all hold.
    pub(super) fn read(block: &Map<String, Value>) -> Result<Vec<Self>, String> {
        let mut conditions = vec![];
        for (operator, keys) in block {
            let keys = keys.as_object().ok_or_else(|| format!("{operator} must be a mapping of keys"))?;
            for (key, values) in keys {
                conditions.push(Self::new(operator, key, values)?);
            }
        }
        Ok(conditions)
    }

    fn new(operator: &str, key: &str, values: &Value) -> Result<Self, String> {
        let known = match key.to_ascii_lowercase().as_str() {
            "dynamodb:leadingkeys" => Key::LeadingKeys,
            "dynamodb:attributes" => Key::Attributes,
            "lambda:sourcefunctionarn" => Key::SourceFunctionArn,
            _ => return Err(format!("the local stack does not support the condition key {key}")),
        };
        let values = texts(values)?;
        let (set, plain) = operator.split_once(':').unwrap_or(("", operator));
        let matching = match plain {
            "StringEquals" => Some(Matching::Equals(values.clone())),
            "StringLike" => Some(Matching::Like(values.iter().map(|it| Pattern::new(it)).collect())),
            _ => None,
        };
        let test = match (set, plain, matching) {
            ("ForAllValues", _, Some(matching)) => Test::All(matching),
            ("ForAnyValue", _, Some(matching)) => Test::Any(matching),
            ("", _, Some(matching)) if known == Key::SourceFunctionArn => Test::Any(matching),
            ("", "StringEquals" | "StringLike", _) => {
                return Err(format!("{key} has several values; use ForAllValues or ForAnyValue"));
            }
            ("", "Null", _) => match values.as_slice() {
                [missing] if missing == "true" => Test::Missing(true),
                [missing] if missing == "false" => Test::Missing(false),
                _ => return Err(format!("Null of {key} must be true or false")),
            },
            _ => return Err(format!("the local stack does not support the condition operator {operator}")),
        };
        Ok(Self { key: known, test })
    }

    pub(super) fn holds(&self, call: &Call) -> bool {
        let values = match self.key {
            Key::LeadingKeys => call.leading_keys.as_slice(),
            Key::Attributes => &call.attributes,
            Key::SourceFunctionArn => call.source_function.as_slice(),
        };
        match &self.test {
            Test::All(matching) => values.iter().all(|value| matching.matches(value)),
            Test::Any(matching) => values.iter().any(|value| matching.matches(value)),
            Test::Missing(missing) => values.is_empty() == *missing,
        }
    }
}

/// Returns one text or several; templates may write `true` and numbers without quotes.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) if text.contains("${") => {
            Err(format!("the local stack does not support policy variables: {text}"))
        }
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        other => Err(format!("{other} is not text")),
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}
