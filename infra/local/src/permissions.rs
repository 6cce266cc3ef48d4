//! Evaluates IAM permissions: each function calls the emulated services with its own access key,
//! and calls that its role in the template does not allow are rejected as AWS would.
//!
//! Only identity policies are evaluated. Resource policies (of the queues and the KMS key) are not:
//! they are the same for all functions.

mod condition;
pub(crate) mod dynamodb;
mod expression;
mod pattern;
mod statement;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::error::{Error, Result, TemplateError};
use crate::template::{ACCOUNT, Identity, REGION};
use crate::{private_file, random};
use statement::Statement;

/// All callers and their permissions.
#[derive(Debug)]
pub struct Permissions {
    /// The operators' access key, which may do everything.
    operator: String,
    functions: HashMap<String, Principal>,
}

/// A function as a caller, with its role's statements.
#[derive(Debug)]
pub(crate) struct Principal {
    function: String,
    role: String,
    statements: Vec<Statement>,
}

/// Who signed a call.
pub(crate) enum Caller<'a> {
    Operator,
    Function(&'a Principal),
}

/// An action on a resource, with the values that conditions may check.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    action: String,
    resource: String,
    leading_keys: Vec<String>,
    attributes: Vec<String>,
    /// ARN of the calling function, if its code makes the call.
    source_function: Option<String>,
}

impl Call {
    pub(crate) fn of(action: String, resource: String) -> Self {
        Self { action, resource, ..Self::default() }
    }

    /// Returns the kinds of the keys for the log, without what follows the first `#`, which may be
    /// an id.
    fn kinds_of_keys(&self) -> String {
        let kinds = self.leading_keys.iter().map(|key| match key.split_once('#') {
            Some((kind, _)) => format!("{kind}#…"),
            None => "…".to_owned(),
        });
        kinds.collect::<Vec<_>>().join(", ")
    }
}

/// Why a call is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessError {
    /// The access key is unknown.
    UnknownKey,
    /// Access is denied; AWS's message.
    Denied(String),
}

enum Verdict<'a> {
    Allowed,
    DeniedBy(&'a Statement),
    NotAllowed,
}

impl Permissions {
    /// Permits only the operator, who has this access key.
    pub fn of_operator(access_key: &str) -> Self {
        Self { operator: access_key.to_owned(), functions: HashMap::new() }
    }

    /// Permits the operator, and the template's functions by their roles.
    ///
    /// # Errors
    /// If a policy can't be evaluated here, or a role lacks an action that Lambda itself needs.
    pub fn new(operator_key: &str, identities: &[Identity]) -> Result<Self> {
        let mut permissions = Self::of_operator(operator_key);
        for identity in identities {
            let principal = Principal::new(identity)?;
            // Signatures are not verified, so the access key id itself must be unguessable.
            let key = format!("{}-{}", identity.function, random::alphanumeric(20)?);
            permissions.functions.insert(key, principal);
        }
        Ok(permissions)
    }

    /// Returns the access key of a function's processes.
    pub fn access_key(&self, function: &str) -> Option<&str> {
        let (key, _) = self.functions.iter().find(|(_, principal)| principal.function == function)?;
        Some(key)
    }

    /// Identifies the caller by the access key id in the `Authorization` header.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> std::result::Result<Caller<'_>, AccessError> {
        let authorization = headers.get(http::header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        let scope = authorization.and_then(|it| it.split_once("Credential=")).map(|(_, scope)| scope);
        let key = scope.and_then(|scope| scope.split_once('/')).map(|(key, _)| key);
        match key {
            Some(key) if key == self.operator => Ok(Caller::Operator),
            Some(key) => self.functions.get(key).map(Caller::Function).ok_or(AccessError::UnknownKey),
            None => Err(AccessError::UnknownKey),
        }
    }

    /// Reports what each role allows by statement, and whether this run used it.
    pub(crate) fn report(&self) -> Value {
        let mut functions = BTreeMap::new();
        for principal in self.functions.values() {
            let statements = principal.statements.iter().filter(|statement| !statement.denies);
            let grants = statements.flat_map(|statement| {
                let grant = |it: &statement::Grant| {
                    json!({
                        "statement": statement.name, "action": it.action, "resource": it.resource,
                        "used": it.is_used(),
                    })
                };
                statement.grants().iter().map(grant)
            });
            functions.insert(principal.function.as_str(), grants.collect::<Vec<_>>());
        }
        json!(functions)
    }

    /// Writes the report to a file.
    pub(crate) fn write_report(&self, file: &Path) -> Result<()> {
        let text =
            serde_json::to_vec_pretty(&self.report()).map_err(|error| Error::store("permissions", error))?;
        private_file::write(file, &text)
    }
}

impl Caller<'_> {
    /// Fails unless all calls are allowed. `calls` is evaluated only for callers with limited
    /// rights.
    pub(crate) fn may(&self, calls: impl FnOnce() -> Vec<Call>) -> std::result::Result<(), AccessError> {
        match self {
            Self::Operator => Ok(()),
            Self::Function(principal) => calls().into_iter().try_for_each(|call| principal.may(call)),
        }
    }
}

impl Principal {
    fn new(identity: &Identity) -> Result<Self> {
        let mut statements = vec![];
        for policy in identity.role.iter().flat_map(|role| &role.policies) {
            statements.extend(Statement::all(policy)?);
        }
        let role =
            identity.role.as_ref().map_or_else(|| format!("{}Role", identity.function), |it| it.id.clone());
        let principal = Self { function: identity.function.clone(), role, statements };
        if identity.role.is_some() {
            for (action, resource) in &identity.services {
                let call = Call::of((*action).to_owned(), resource.clone());
                if !matches!(principal.evaluate(&call), Verdict::Allowed) {
                    let Self { function, role, .. } = principal;
                    let message =
                        format!("{role}: Lambda itself needs {action} on {resource} for {function}");
                    return Err(TemplateError(message).into());
                }
            }
        }
        Ok(principal)
    }

    fn evaluate(&self, call: &Call) -> Verdict<'_> {
        // Check all statements, so that each one that allows the call counts as used.
        let mut verdict = Verdict::NotAllowed;
        for statement in self.statements.iter().filter(|it| it.covers(call)) {
            if statement.denies {
                return Verdict::DeniedBy(statement);
            }
            verdict = Verdict::Allowed;
        }
        verdict
    }

    /// Fails unless the function's code may do this; also logs a rejection for the developer.
    fn may(&self, mut call: Call) -> std::result::Result<(), AccessError> {
        let Self { function, role, .. } = self;
        call.source_function = Some(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"));
        let (log, words) = match self.evaluate(&call) {
            Verdict::Allowed => return Ok(()),
            Verdict::DeniedBy(statement) => (
                format!("{} denies it", statement.name),
                "with an explicit deny in an identity-based policy".to_owned(),
            ),
            Verdict::NotAllowed => (
                format!("no statement of {role} allows it"),
                format!("because no identity-based policy allows the {} action", call.action),
            ),
        };
        let Call { action, resource, .. } = &call;
        let keys = call.kinds_of_keys();
        eprintln!("ERROR permissions: {function} may not {action} on {resource}, keys [{keys}]: {log}");
        Err(AccessError::Denied(format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{function} is not authorized to perform: \
                {action} on resource: {resource} {words}"
        )))
    }
}

#[cfg(test)]
mod tests;
