//! Resolves CloudFormation's intrinsic functions, as far as they are meaningful on one machine.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Result;
use crate::error::TemplateError;

/// The region of all local resources.
pub const REGION: &str = "us-east-1";
/// The account of all local resources.
pub const ACCOUNT: &str = "000000000000";
/// The name of the local stack.
pub const STACK: &str = "local";

/// The local values of references in `template.yaml`.
#[derive(Debug, Clone, Default)]
pub struct LocalResources {
    /// Base URL of the local SQS, e.g. `http://127.0.0.1:9324`; a queue's URL is
    /// `<base>/000000000000/<logical id>`.
    pub sqs_endpoint: String,
    /// Values of parameters that differ from their defaults.
    pub parameters: BTreeMap<String, String>,
}

/// Everything that a reference can refer to.
pub(super) struct Scope<'a> {
    parameters: BTreeMap<String, Value>,
    conditions: Option<&'a Map<String, Value>>,
    resources: &'a Map<String, Value>,
    local: &'a LocalResources,
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(TemplateError(message.into()))
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        document: &'a Value,
        resources: &'a Map<String, Value>,
        local: &'a LocalResources,
    ) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        for (name, parameter) in document.get("Parameters").and_then(Value::as_object).into_iter().flatten() {
            let given = local.parameters.get(name).cloned().map(Value::String);
            let Some(value) = given.or_else(|| parameter.get("Default").cloned()) else {
                return wrong(format!(
                    "parameter {name} has no default, and the local stack has no value for it"
                ));
            };
            let kind = parameter.get("Type").and_then(Value::as_str).unwrap_or_default();
            let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
            let value = match value {
                Value::String(text) if is_list => {
                    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
                }
                value => value,
            };
            parameters.insert(name.clone(), value);
        }
        let conditions = document.get("Conditions").and_then(Value::as_object);
        Ok(Self { parameters, conditions, resources, local })
    }

    /// Whether the resource's own `Condition` holds.
    pub(super) fn is_created(&self, resource: &Value) -> Result<bool> {
        resource.get("Condition").and_then(Value::as_str).map_or(Ok(true), |name| self.condition(name))
    }

    /// Returns the value with every intrinsic resolved; `None` for `AWS::NoValue`.
    pub(super) fn resolve(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Array(items) => {
                let items = items.iter().filter_map(|item| self.resolve(item).transpose());
                Ok(Some(Value::Array(items.collect::<Result<_>>()?)))
            }
            Value::Object(entries) => {
                if let Some((name, argument)) = intrinsic(entries) {
                    return self.call(name, argument);
                }
                let mut resolved = Map::new();
                for (name, content) in entries {
                    if let Some(content) = self.resolve(content)? {
                        resolved.insert(name.clone(), content);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Option<Value>> {
        match (name, argument) {
            ("Ref", Value::String(target)) if target == "AWS::NoValue" => Ok(None),
            ("Ref", Value::String(target)) => self.reference(target).map(Some),
            ("Fn::GetAtt", Value::Array(path)) => match path.as_slice() {
                [Value::String(id), Value::String(attribute)] => self.attribute(id, attribute).map(Some),
                _ => wrong("Fn::GetAtt takes a resource and an attribute"),
            },
            ("Fn::If", Value::Array(items)) => match items.as_slice() {
                [Value::String(name), yes, no] => self.resolve(if self.condition(name)? { yes } else { no }),
                _ => wrong("Fn::If takes a condition and two values"),
            },
            ("Fn::Sub", Value::String(text)) => self.substitute(text, &Map::new()).map(Some),
            ("Fn::Sub", Value::Array(items)) => match items.as_slice() {
                [Value::String(text), Value::Object(names)] => self.substitute(text, names).map(Some),
                _ => wrong("Fn::Sub takes a text and a mapping"),
            },
            ("Fn::Join", Value::Array(items)) => match items.as_slice() {
                [Value::String(between), list] => self.join(between, list).map(Some),
                _ => wrong("Fn::Join takes a text and a list"),
            },
            ("Fn::Split", Value::Array(items)) => match items.as_slice() {
                [Value::String(at), text] => {
                    Ok(Some(self.text(text)?.split(at.as_str()).map(Value::from).collect()))
                }
                _ => wrong("Fn::Split takes two texts"),
            },
            ("Fn::Select", Value::Array(items)) => match items.as_slice() {
                [index, list] => self.select(index, list).map(Some),
                _ => wrong("Fn::Select takes an index and a list"),
            },
            ("Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Condition", _) => {
                self.holds(name, argument).map(|holds| Some(Value::Bool(holds)))
            }
            _ => wrong(format!("the local stack does not support {name} with {argument}")),
        }
    }

    fn reference(&self, target: &str) -> Result<Value> {
        if let Some(value) = self.parameters.get(target) {
            return Ok(value.clone());
        }
        let text = match target {
            "AWS::Region" => REGION.to_owned(),
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::StackName" => STACK.to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            _ => match self.kind(target)? {
                "AWS::SQS::Queue" => format!("{}/{ACCOUNT}/{target}", self.local.sqs_endpoint),
                "AWS::SecretsManager::Secret" => {
                    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{target}")
                }
                _ => target.to_owned(),
            },
        };
        Ok(Value::String(text))
    }

    fn attribute(&self, id: &str, attribute: &str) -> Result<Value> {
        let text = match (self.kind(id)?, attribute) {
            ("AWS::SQS::Queue", "Arn") => format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{id}"),
            ("AWS::SQS::Queue", "QueueUrl") | ("AWS::SecretsManager::Secret", "Id") => {
                return self.reference(id);
            }
            ("AWS::DynamoDB::Table", "Arn") => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{id}"),
            ("AWS::Serverless::Function", "Arn") => {
                format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{id}")
            }
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{id}"),
            // With the wildcard for its streams, as in CloudFormation.
            ("AWS::Logs::LogGroup", "Arn") => format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{id}:*"),
            ("AWS::SQS::Queue", "QueueName") => id.to_owned(),
            (kind, attribute) => {
                return wrong(format!("the local stack does not support {attribute} of a {kind}"));
            }
        };
        Ok(Value::String(text))
    }

    fn kind(&self, id: &str) -> Result<&str> {
        let kind = self.resources.get(id).and_then(|resource| resource.get("Type")).and_then(Value::as_str);
        kind.ok_or_else(|| TemplateError(format!("there is no parameter or resource {id}")))
    }

    fn substitute(&self, text: &str, names: &Map<String, Value>) -> Result<Value> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return wrong(format!("'{text}' lacks a }}"));
            };
            result.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else if let Some(value) = names.get(name) {
                result.push_str(&self.text(value)?);
            } else if let Some((id, attribute)) = name.split_once('.') {
                result.push_str(&plain(&self.attribute(id, attribute)?));
            } else {
                result.push_str(&plain(&self.reference(name)?));
            }
        }
        result.push_str(rest);
        Ok(Value::String(result))
    }

    fn join(&self, between: &str, list: &Value) -> Result<Value> {
        match self.resolve(list)? {
            Some(Value::Array(items)) => {
                Ok(Value::String(items.iter().map(plain).collect::<Vec<_>>().join(between)))
            }
            _ => wrong("Fn::Join takes a list"),
        }
    }

    fn select(&self, index: &Value, list: &Value) -> Result<Value> {
        let index: Option<usize> = self.text(index)?.parse().ok();
        let list = self.resolve(list)?;
        let item = index.zip(list.as_ref()).and_then(|(index, list)| list.get(index));
        item.cloned().ok_or_else(|| TemplateError("Fn::Select finds nothing".to_owned()))
    }

    fn text(&self, value: &Value) -> Result<String> {
        match self.resolve(value)? {
            Some(Value::Array(_) | Value::Object(_)) | None => wrong(format!("{value} isn't text")),
            Some(value) => Ok(plain(&value)),
        }
    }

    fn condition(&self, name: &str) -> Result<bool> {
        let Some(condition) = self.conditions.and_then(|conditions| conditions.get(name)) else {
            return wrong(format!("there is no condition {name}"));
        };
        self.truth(condition)
    }

    fn truth(&self, condition: &Value) -> Result<bool> {
        match condition.as_object().and_then(intrinsic) {
            Some((name, argument)) => self.holds(name, argument),
            None => wrong(format!("{condition} isn't a condition")),
        }
    }

    fn holds(&self, name: &str, argument: &Value) -> Result<bool> {
        if let ("Condition", Value::String(name)) = (name, argument) {
            return self.condition(name);
        }
        let Some(items) = argument.as_array() else { return wrong(format!("{name} takes a list")) };
        match (name, items.as_slice()) {
            ("Fn::Equals", [left, right]) => Ok(self.text(left)? == self.text(right)?),
            ("Fn::Not", [condition]) => self.truth(condition).map(|holds| !holds),
            ("Fn::And", conditions) => {
                conditions.iter().try_fold(true, |all, one| Ok(self.truth(one)? && all))
            }
            ("Fn::Or", conditions) => {
                conditions.iter().try_fold(false, |any, one| Ok(self.truth(one)? || any))
            }
            _ => wrong(format!("{name} can't take {argument}")),
        }
    }
}

/// Returns the only entry of a mapping, if it is an intrinsic function.
fn intrinsic(entries: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = entries.iter().next().filter(|_| entries.len() == 1)?;
    let is_condition = name == "Condition" && argument.is_string();
    (name == "Ref" || name.starts_with("Fn::") || is_condition).then_some((name.as_str(), argument))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
