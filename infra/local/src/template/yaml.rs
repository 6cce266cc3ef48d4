//! Parses YAML with CloudFormation's short tags into JSON with the long forms: `!Ref A` becomes
//! `{"Ref": "A"}`.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Number, Value, json};

use super::Result;
use crate::error::TemplateError;

/// Parses one document.
pub(super) fn parse(text: &str) -> Result<Value> {
    let documents = Yaml::load_from_str(text).map_err(|error| TemplateError(error.to_string()))?;
    documents.first().map_or_else(|| Err(TemplateError("the file is empty".to_owned())), value)
}

fn value(node: &Yaml<'_>) -> Result<Value> {
    match node {
        Yaml::Value(scalar) => Ok(scalar_value(scalar)),
        Yaml::Sequence(items) => items.iter().map(value).collect::<Result<_>>().map(Value::Array),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (name, content) in entries {
                object.insert(key(name)?, value(content)?);
            }
            Ok(Value::Object(object))
        }
        Yaml::Tagged(tag, content) if tag.handle == "!" => intrinsic(&tag.suffix, value(content)?),
        Yaml::Tagged(_, content) => value(content),
        Yaml::Representation(text, ..) => Ok(Value::String(text.to_string())),
        Yaml::Alias(_) => Err(TemplateError("an alias has no anchor".to_owned())),
        Yaml::BadValue => Err(TemplateError("a value does not match its tag".to_owned())),
    }
}

fn key(node: &Yaml<'_>) -> Result<String> {
    match value(node)? {
        Value::String(text) => Ok(text),
        number @ Value::Number(_) => Ok(number.to_string()),
        other => Err(TemplateError(format!("{other} can't be a key"))),
    }
}

fn scalar_value(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => Value::Bool(*flag),
        Scalar::Integer(number) => Value::from(*number),
        Scalar::FloatingPoint(number) => {
            Number::from_f64(number.into_inner()).map_or(Value::Null, Value::Number)
        }
        Scalar::String(text) => Value::String(text.to_string()),
    }
}

fn intrinsic(tag: &str, content: Value) -> Result<Value> {
    Ok(match (tag, content) {
        ("Ref" | "Condition", content) => json!({ tag: content }),
        ("GetAtt", Value::String(path)) => match path.split_once('.') {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => return Err(TemplateError(format!("!GetAtt {path} names no attribute"))),
        },
        (name, content) => json!({ format!("Fn::{name}"): content }),
    })
}
