//! Policy statements, parsed once and then matched against calls.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::Call;
use super::condition::{Condition, texts};
use super::pattern::Pattern;
use crate::error::TemplateError;
use crate::template::Policy;

/// A statement of a role.
#[derive(Debug)]
pub(super) struct Statement {
    /// Policy and `Sid`, e.g. `CallerPolicy/TokenKeys`.
    pub(super) name: String,
    pub(super) denies: bool,
    grants: Vec<Grant>,
    conditions: Vec<Condition>,
}

/// One action on one resource of a statement.
#[derive(Debug)]
pub(super) struct Grant {
    /// As written in the template.
    pub(super) action: String,
    pub(super) resource: String,
    used: AtomicBool,
    actions: Pattern,
    resources: Pattern,
}

impl Grant {
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

impl Statement {
    /// Parses all statements of a policy.
    pub(super) fn all(policy: &Policy) -> Result<Vec<Self>, TemplateError> {
        let read = |(at, statement): (usize, &Value)| {
            let sid = statement.get("Sid").and_then(Value::as_str);
            let name = format!("{}/{}", policy.name, sid.map_or_else(|| at.to_string(), str::to_owned));
            Self::read(&name, statement).map_err(|what| TemplateError(format!("{name}: {what}")))
        };
        policy.statements.iter().enumerate().map(read).collect()
    }

    fn read(name: &str, statement: &Value) -> Result<Self, String> {
        const KNOWN: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];
        let entries = statement.as_object().ok_or("a statement must be a mapping")?;
        if let Some(unknown) = entries.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(format!("the local stack does not support {unknown} in a statement"));
        }
        let denies = match statement["Effect"].as_str() {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return Err("Effect must be Allow or Deny".to_owned()),
        };
        let mut grants = vec![];
        for action in texts(&statement["Action"])? {
            for resource in texts(&statement["Resource"])? {
                grants.push(Grant {
                    actions: Pattern::of_any_case(&action),
                    resources: Pattern::new(&resource),
                    action: action.clone(),
                    resource,
                    used: AtomicBool::new(false),
                });
            }
        }
        let conditions = match entries.get("Condition") {
            None => vec![],
            Some(block) => Condition::read(block.as_object().ok_or("Condition must be a mapping")?)?,
        };
        Ok(Self { name: name.to_owned(), denies, grants, conditions })
    }

    /// Whether the statement applies to the call; if so, marks its grants as used.
    pub(super) fn covers(&self, call: &Call) -> bool {
        let action = call.action.to_ascii_lowercase();
        let covers = |it: &&Grant| it.actions.matches(&action) && it.resources.matches(&call.resource);
        let mut covering = self.grants.iter().filter(covers).peekable();
        if covering.peek().is_none() || !self.conditions.iter().all(|it| it.holds(call)) {
            return false;
        }
        covering.for_each(|it| it.used.store(true, Ordering::Relaxed));
        true
    }

    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }
}
