//! Reads functions: binary, limits, environment and triggers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Result, environment, text, whole_number};
use crate::error::TemplateError;

/// One function of the template.
#[derive(Debug, Clone)]
pub struct Function {
    /// Logical id, e.g. `VisitsFunction`.
    pub id: String,
    /// Name of folder, package and binary, e.g. `visits`. Several functions may run one binary.
    pub binary: String,
    /// Maximum duration of an invocation.
    pub timeout: Duration,
    /// In MB; passed to the function but not enforced.
    pub memory: u32,
    pub environment: BTreeMap<String, String>,
    pub routes: Vec<RouteKey>,
    pub queues: Vec<QueueTrigger>,
    pub schedules: Vec<Schedule>,
}

impl Function {
    /// Returns the function's name, such as `log-poller` for `LogPollerFunction`.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for letter in self.id.strip_suffix("Function").unwrap_or(&self.id).chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteKey {
    /// Matches what no other route matches.
    Default,
    /// `method` is in upper case, `ANY` for every method; `path` like `/v1/{PPass}/tags`.
    Path { method: String, path: String },
}

/// An SQS queue whose messages the function receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueTrigger {
    /// Logical id of the queue.
    pub queue: String,
    pub batch_size: u32,
    /// How long to wait for a batch to fill.
    pub window: Duration,
    /// Whether the response lists the failed messages (`ReportBatchItemFailures`).
    pub reports_failures: bool,
    pub maximum_concurrency: Option<u32>,
}

/// A repeated invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Name of the event in the template.
    pub name: String,
    pub every: Duration,
    /// The event passed to the function; `None` for EventBridge's own.
    pub input: Option<Value>,
}

pub(super) fn function(id: &str, globals: &Map<String, Value>, own: &Map<String, Value>) -> Result<Function> {
    read(id, globals, own).map_err(|TemplateError(message)| TemplateError(format!("{id}: {message}")))
}

fn read(id: &str, globals: &Map<String, Value>, own: &Map<String, Value>) -> Result<Function> {
    let code = text(own, "CodeUri")?.trim_end_matches('/');
    let binary = code.rsplit('/').next().unwrap_or(code).to_owned();
    let limit = |name| Result::Ok(whole_number(own, name)?.or(whole_number(globals, name)?));
    let mut variables = environment(globals);
    variables.extend(environment(own));
    let mut function = Function {
        id: id.to_owned(),
        binary,
        // AWS's defaults.
        timeout: Duration::from_secs(limit("Timeout")?.unwrap_or(3).into()),
        memory: limit("MemorySize")?.unwrap_or(128),
        environment: variables,
        routes: vec![],
        queues: vec![],
        schedules: vec![],
    };
    for (name, event) in own.get("Events").and_then(Value::as_object).into_iter().flatten() {
        let empty = Map::new();
        let properties = event.get("Properties").and_then(Value::as_object).unwrap_or(&empty);
        match event.get("Type").and_then(Value::as_str).unwrap_or_default() {
            "HttpApi" => function.routes.push(route(properties)),
            "SQS" => function.queues.push(queue_trigger(properties)?),
            "Schedule" | "ScheduleV2" => function.schedules.push(schedule(name, properties)?),
            kind => {
                return Err(TemplateError(format!("the local stack does not support events of type {kind}")));
            }
        }
    }
    Ok(function)
}

fn route(properties: &Map<String, Value>) -> RouteKey {
    match properties.get("Path").and_then(Value::as_str) {
        None | Some("$default") => RouteKey::Default,
        Some(path) => {
            let method = properties.get("Method").and_then(Value::as_str).unwrap_or("ANY");
            let method = method.to_ascii_uppercase().replace("X-AMAZON-APIGATEWAY-ANY-METHOD", "ANY");
            RouteKey::Path { method, path: path.to_owned() }
        }
    }
}

fn queue_trigger(properties: &Map<String, Value>) -> Result<QueueTrigger> {
    let arn = text(properties, "Queue")?;
    let responses = properties.get("FunctionResponseTypes").and_then(Value::as_array);
    let scaling = properties.get("ScalingConfig").and_then(Value::as_object);
    let window = whole_number(properties, "MaximumBatchingWindowInSeconds")?.unwrap_or(0);
    Ok(QueueTrigger {
        queue: arn.rsplit(':').next().unwrap_or(arn).to_owned(),
        batch_size: whole_number(properties, "BatchSize")?.unwrap_or(10),
        window: Duration::from_secs(window.into()),
        reports_failures: responses.is_some_and(|all| all.iter().any(|one| one == "ReportBatchItemFailures")),
        maximum_concurrency: match scaling {
            Some(scaling) => whole_number(scaling, "MaximumConcurrency")?,
            None => None,
        },
    })
}

fn schedule(name: &str, properties: &Map<String, Value>) -> Result<Schedule> {
    let expression = properties.get("Schedule").or_else(|| properties.get("ScheduleExpression"));
    let expression = expression.and_then(Value::as_str).unwrap_or_default();
    let every = rate(expression).ok_or_else(|| {
        TemplateError(format!("schedule '{expression}' of {name}: the local stack supports rate(…) only"))
    })?;
    let input = match properties.get("Input").and_then(Value::as_str) {
        None => None,
        Some(text) => Some(
            serde_json::from_str(text)
                .map_err(|error| TemplateError(format!("Input of {name} isn't JSON: {error}")))?,
        ),
    };
    Ok(Schedule { name: name.to_owned(), every, input })
}

/// Returns the interval of an expression such as `rate(5 minutes)`.
fn rate(expression: &str) -> Option<Duration> {
    let inner = expression.trim().strip_prefix("rate(")?.strip_suffix(')')?;
    let (count, unit) = inner.trim().split_once(char::is_whitespace)?;
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
    count.checked_mul(seconds).map(Duration::from_secs)
}
