//! Reads from `template.yaml` what the local stack emulates: functions with their routes, triggers
//! and roles, tables, queues and secrets.

mod functions;
mod intrinsics;
mod roles;
mod stores;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{self, Error, TemplateError};
pub use functions::{Function, QueueTrigger, RouteKey, Schedule};
pub use intrinsics::LocalResources;
pub use intrinsics::{ACCOUNT, REGION, STACK};
pub use roles::{Identity, Policy, Role};
pub use stores::{Index, KeyAttribute, Queue, Redrive, Secret, SecretValue, Table};

/// The result of reading a part of the template.
type Result<T> = std::result::Result<T, TemplateError>;

/// The resources of `template.yaml` that have a local counterpart.
#[derive(Debug, Clone)]
pub struct Template {
    pub functions: Vec<Function>,
    /// The functions' execution roles.
    pub identities: Vec<Identity>,
    pub tables: Vec<Table>,
    pub queues: Vec<Queue>,
    pub secrets: Vec<Secret>,
    pub throttling: Option<Throttling>,
}

/// Request limits of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttling {
    /// Sustained requests per second.
    pub rate: u32,
    /// Burst size.
    pub burst: u32,
}

impl Template {
    /// Reads a template file; `local` provides the local values of parameters and resources.
    pub fn read(path: &Path, local: &LocalResources) -> error::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        Ok(Self::parse(&text, local)?)
    }

    /// Parses the text of a template.
    pub fn parse(text: &str, local: &LocalResources) -> Result<Self> {
        let document = yaml::parse(text)?;
        let resources = document
            .get("Resources")
            .and_then(Value::as_object)
            .ok_or_else(|| TemplateError("the Resources section is missing".to_owned()))?;
        let scope = intrinsics::Scope::new(&document, resources, local)?;
        let globals = section(&scope, document.pointer("/Globals/Function"), "Globals.Function")?;

        let mut template = Self {
            functions: vec![],
            identities: vec![],
            tables: vec![],
            queues: vec![],
            secrets: vec![],
            throttling: None,
        };
        let mut roles = roles::RoleCollector::default();
        for (id, resource) in resources {
            if !scope.is_created(resource)? {
                continue;
            }
            let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
            let properties = resource.get("Properties");
            let properties = || section(&scope, properties, id);
            match kind {
                "AWS::Serverless::Function" => {
                    let properties = properties()?;
                    template.functions.push(functions::function(id, &globals, &properties)?);
                    roles.function(id, &globals, &properties)?;
                }
                "AWS::Serverless::HttpApi" => template.throttling = throttling(&properties()?)?,
                "AWS::DynamoDB::Table" => template.tables.push(stores::table(id, &properties()?)?),
                "AWS::SQS::Queue" => template.queues.push(stores::queue(id, &properties()?)?),
                "AWS::SecretsManager::Secret" => template.secrets.push(stores::secret(id, &properties()?)?),
                "AWS::IAM::Role" => roles.role(id, &properties()?)?,
                "AWS::IAM::ManagedPolicy" => roles.managed_policy(id, &properties()?)?,
                "AWS::IAM::Policy" | "AWS::IAM::RolePolicy" => {
                    return Err(TemplateError(format!("{id}: the local stack does not support {kind}")));
                }
                _ => {}
            }
        }
        template.identities = roles.identities()?;
        Ok(template)
    }
}

/// Resolves the properties that the local stack reads; others may use intrinsics that it does not
/// support.
fn section(scope: &intrinsics::Scope<'_>, value: Option<&Value>, place: &str) -> Result<Map<String, Value>> {
    const READ: &[&str] = &[
        "AttributeDefinitions",
        "BatchSize",
        "CodeUri",
        "DefaultRouteSettings",
        "DelaySeconds",
        "Environment",
        "Events",
        "FifoQueue",
        "GenerateSecretString",
        "GlobalSecondaryIndexes",
        "KeySchema",
        "LocalSecondaryIndexes",
        "LoggingConfig",
        "ManagedPolicyArns",
        "MemorySize",
        "MessageRetentionPeriod",
        "PermissionsBoundary",
        "Policies",
        "PolicyDocument",
        "ReceiveMessageWaitTimeSeconds",
        "RedrivePolicy",
        "Role",
        "SecretString",
        "TimeToLiveSpecification",
        "Timeout",
        "Tracing",
        "VisibilityTimeout",
        "VpcConfig",
    ];
    let mut resolved = Map::new();
    for (name, value) in value.and_then(Value::as_object).into_iter().flatten() {
        let locate = |TemplateError(message)| TemplateError(format!("{place}.{name}: {message}"));
        if READ.contains(&name.as_str())
            && let Some(value) = scope.resolve(value).map_err(locate)?
        {
            resolved.insert(name.clone(), value);
        }
    }
    Ok(resolved)
}

fn throttling(api: &Map<String, Value>) -> Result<Option<Throttling>> {
    let Some(settings) = api.get("DefaultRouteSettings").and_then(Value::as_object) else { return Ok(None) };
    let rate = whole_number(settings, "ThrottlingRateLimit")?;
    let burst = whole_number(settings, "ThrottlingBurstLimit")?;
    Ok(rate.zip(burst).map(|(rate, burst)| Throttling { rate, burst }))
}

/// Returns a whole number, which templates may also write as text.
fn whole_number(properties: &Map<String, Value>, name: &str) -> Result<Option<u32>> {
    let Some(value) = properties.get(name) else { return Ok(None) };
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.map(Some).ok_or_else(|| TemplateError(format!("{name} is {value}, not a whole number")))
}

/// Returns a required text.
fn text<'a>(properties: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    properties
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| TemplateError(format!("{name} is missing or isn't text")))
}

/// Returns the variables of an environment, every value as text.
fn environment(properties: &Map<String, Value>) -> BTreeMap<String, String> {
    let variables = properties.get("Environment").and_then(|environment| environment.get("Variables"));
    let entry = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text)
    };
    variables.and_then(Value::as_object).into_iter().flatten().map(entry).collect()
}

#[cfg(test)]
mod tests;
