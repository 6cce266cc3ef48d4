//! Reads roles: the policies for a function's code and for Lambda itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ACCOUNT, REGION, Result, text};
use crate::error::TemplateError;

/// Actions of Lambda's queue pollers.
const CONSUME: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// Actions by which Lambda sends a function's traces.
const TRACE: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];

/// Actions by which Lambda connects a function to a VPC (its documentation, "Execution role
/// permissions").
const ENTER_VPC: [&str; 6] = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
];

/// The role that a function runs with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Logical id of the function.
    pub function: String,
    /// `None` for SAM's default role, which allows only what Lambda itself needs.
    pub role: Option<Role>,
    /// Actions and resources that Lambda itself uses with the role, never the function's code.
    pub services: Vec<(&'static str, String)>,
}

/// A role of the template.
#[derive(Debug, Clone)]
pub struct Role {
    /// Logical id, e.g. `VisitsRole`.
    pub id: String,
    /// Managed policies first, then its own.
    pub policies: Vec<Policy>,
}

/// A policy with resolved references.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Logical id of a managed policy, or `PolicyName` of an inline one.
    pub name: String,
    pub statements: Vec<Value>,
}

/// What was read so far, in the template's order: a function may come before its role, a role
/// before its policies.
#[derive(Default)]
pub(super) struct RoleCollector {
    /// Functions with the ARN of their role.
    functions: Vec<(Identity, Option<String>)>,
    /// Roles by id: names of managed policies, and inline policies.
    roles: BTreeMap<String, (Vec<String>, Vec<Policy>)>,
    managed: BTreeMap<String, Policy>,
}

impl RoleCollector {
    pub(super) fn function(
        &mut self,
        id: &str,
        globals: &Map<String, Value>,
        own: &Map<String, Value>,
    ) -> Result<()> {
        if own.contains_key("Policies") {
            let message = format!("{id}: the local stack supports policies of roles only, not of functions");
            return Err(TemplateError(message));
        }
        let services = services(id, globals, own)?;
        let role = own.get("Role").and_then(Value::as_str).map(str::to_owned);
        self.functions.push((Identity { function: id.to_owned(), role: None, services }, role));
        Ok(())
    }

    pub(super) fn role(&mut self, id: &str, properties: &Map<String, Value>) -> Result<()> {
        let wrong = |what: &str| TemplateError(format!("{id}: {what}"));
        if properties.contains_key("PermissionsBoundary") {
            return Err(wrong("the local stack supports no permissions boundaries"));
        }
        let (mut managed, mut own) = (vec![], vec![]);
        for arn in properties.get("ManagedPolicyArns").and_then(Value::as_array).into_iter().flatten() {
            managed.push(arn.as_str().ok_or_else(|| wrong("a managed policy must be text"))?.to_owned());
        }
        for policy in properties.get("Policies").and_then(Value::as_array).into_iter().flatten() {
            let policy = policy.as_object().ok_or_else(|| wrong("a policy must be a mapping"))?;
            own.push(self::policy(text(policy, "PolicyName")?, policy)?);
        }
        self.roles.insert(id.to_owned(), (managed, own));
        Ok(())
    }

    pub(super) fn managed_policy(&mut self, id: &str, properties: &Map<String, Value>) -> Result<()> {
        self.managed.insert(id.to_owned(), policy(id, properties)?);
        Ok(())
    }

    /// Returns every function with its complete role.
    pub(super) fn identities(self) -> Result<Vec<Identity>> {
        let complete = |(identity, role): &(Identity, Option<String>)| {
            let role = role.as_deref().map(|arn| self.whole(&identity.function, arn)).transpose()?;
            Ok(Identity { role, ..identity.clone() })
        };
        self.functions.iter().map(complete).collect()
    }

    fn whole(&self, function: &str, arn: &str) -> Result<Role> {
        let id = arn.rsplit('/').next().unwrap_or(arn);
        let missing =
            |kind: &str, name: &str| TemplateError(format!("{function}: the template has no {kind} {name}"));
        let (managed, own) = self.roles.get(id).ok_or_else(|| missing("role", id))?;
        let mut policies = vec![];
        for name in managed {
            policies.push(self.managed.get(name).ok_or_else(|| missing("managed policy", name))?.clone());
        }
        policies.extend(own.iter().cloned());
        Ok(Role { id: id.to_owned(), policies })
    }
}

fn policy(name: &str, properties: &Map<String, Value>) -> Result<Policy> {
    let statements = match properties.get("PolicyDocument").and_then(|document| document.get("Statement")) {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement @ Value::Object(_)) => vec![statement.clone()],
        _ => return Err(TemplateError(format!("{name}: the policy has no statements"))),
    };
    Ok(Policy { name: name.to_owned(), statements })
}

fn services(
    id: &str,
    globals: &Map<String, Value>,
    own: &Map<String, Value>,
) -> Result<Vec<(&'static str, String)>> {
    let property = |name: &str| own.get(name).or_else(|| globals.get(name));
    let group = property("LoggingConfig").and_then(|logging| logging.get("LogGroup")).and_then(Value::as_str);
    let group = group.map_or_else(|| format!("/aws/lambda/{id}"), str::to_owned);
    let stream = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:any");
    let mut services = vec![("logs:CreateLogStream", stream.clone()), ("logs:PutLogEvents", stream)];
    let mut needs = |actions: &[&'static str], resource: &str| {
        services.extend(actions.iter().map(|action| (*action, resource.to_owned())));
    };
    if property("Tracing").is_some_and(|tracing| tracing == "Active") {
        needs(&TRACE, "*");
    }
    if property("VpcConfig").is_some() {
        needs(&ENTER_VPC, "*");
    }
    for event in own.get("Events").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        if event.get("Type").is_some_and(|kind| kind == "SQS")
            && let Some(properties) = event.get("Properties").and_then(Value::as_object)
        {
            needs(&CONSUME, text(properties, "Queue")?);
        }
    }
    Ok(services)
}
