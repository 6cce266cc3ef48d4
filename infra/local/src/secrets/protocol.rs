//! The AWS JSON 1.1 protocol: `POST /` with the operation in `X-Amz-Target`.

use std::collections::BTreeMap;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CURRENT, Secrets, Stages, Version};
use crate::error::Error;
use crate::http::{HttpResponse, answer, read_body};
use crate::permissions::{AccessError, Call, Permissions};
use crate::template::{ACCOUNT, REGION};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// Maximum body size in bytes: the largest secret (64 KiB) with JSON escapes.
const BODY_LIMIT: usize = 512 * 1024;

/// The parameters of all operations.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretRequest {
    #[serde(alias = "Name")]
    secret_id: String,
    secret_string: Option<String>,
    client_request_token: Option<String>,
    version_stage: Option<String>,
    version_stages: Option<Vec<String>>,
}

impl SecretRequest {
    /// Returns the secret's name, given by name or by ARN.
    fn name(&self) -> &str {
        self.secret_id.strip_prefix(&arn("")).unwrap_or(&self.secret_id)
    }
}

/// An error: AWS's code and a message.
type Fault = (&'static str, String);

pub(super) async fn handle(
    secrets: &Secrets,
    permissions: &Permissions,
    request: Request<Incoming>,
) -> HttpResponse {
    let caller = match permissions.caller(request.headers()) {
        Ok(caller) => caller,
        Err(refusal) => return refuse(&denied(refusal)),
    };
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation =
        target.and_then(|target| target.strip_prefix("secretsmanager.")).unwrap_or_default().to_owned();
    let Ok(body) = read_body(request.into_body(), BODY_LIMIT).await else {
        return refuse(&("InvalidRequestException", "the body could not be read".to_owned()));
    };
    let done = serde_json::from_slice(&body)
        .map_err(|error| ("InvalidParameterException", error.to_string()))
        .and_then(|request: SecretRequest| {
            caller.may(|| vec![call(&operation, &request)]).map_err(denied)?;
            perform(secrets, &operation, &request)
        });
    match done {
        Ok(body) => answer(StatusCode::OK, CONTENT_TYPE, body.to_string()),
        Err(fault) => refuse(&fault),
    }
}

fn call(operation: &str, request: &SecretRequest) -> Call {
    Call::of(format!("secretsmanager:{operation}"), arn(request.name()))
}

fn denied(refusal: AccessError) -> Fault {
    match refusal {
        AccessError::Denied(message) => ("AccessDeniedException", message),
        AccessError::UnknownKey => (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.".to_owned(),
        ),
    }
}

fn refuse((code, message): &Fault) -> HttpResponse {
    let status = if *code == "InternalServiceError" {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::BAD_REQUEST
    };
    answer(status, CONTENT_TYPE, json!({ "__type": code, "message": message }).to_string())
}

fn perform(secrets: &Secrets, operation: &str, request: &SecretRequest) -> Result<Value, Fault> {
    let name = request.name();
    let missing = || {
        ("ResourceNotFoundException", format!("the secret {name} or its requested version does not exist"))
    };
    match operation {
        "GetSecretValue" => {
            let stage = request.version_stage.as_deref().unwrap_or(CURRENT);
            let version = secrets.version(name, stage).ok_or_else(missing)?;
            Ok(json!({
                "ARN": arn(name), "Name": name, "VersionId": version.id, "VersionStages": [stage],
                "SecretString": version.value,
            }))
        }
        "DescribeSecret" => {
            let stages = secrets.stages(name).ok_or_else(missing)?;
            let versions: BTreeMap<_, _> =
                versions(&stages).into_iter().map(|(version, stages)| (&version.id, stages)).collect();
            Ok(json!({ "ARN": arn(name), "Name": name, "VersionIdsToStages": versions }))
        }
        "ListSecretVersionIds" => {
            let stages = secrets.stages(name).ok_or_else(missing)?;
            let versions: Vec<Value> = versions(&stages).into_iter().map(listed).collect();
            Ok(json!({ "ARN": arn(name), "Name": name, "Versions": versions }))
        }
        "PutSecretValue" if !secrets.exists(name) => Err(missing()),
        "CreateSecret" if secrets.exists(name) => {
            Err(("ResourceExistsException", format!("the secret {name} already exists")))
        }
        "PutSecretValue" | "CreateSecret" => {
            let lacks = |what: &str| ("InvalidParameterException", format!("{what} is missing"));
            let value = request.secret_string.clone().ok_or_else(|| lacks("SecretString"))?;
            let id = request.client_request_token.clone().ok_or_else(|| lacks("ClientRequestToken"))?;
            let stages = request.version_stages.clone().unwrap_or_else(|| vec![CURRENT.to_owned()]);
            for stage in &stages {
                let failed = |error: Error| ("InternalServiceError", error.to_string());
                secrets.put(name, stage, &id, &value).map_err(failed)?;
            }
            Ok(json!({ "ARN": arn(name), "Name": name, "VersionId": id, "VersionStages": stages }))
        }
        _ => Err(("InvalidRequestException", format!("the local stack does not support {operation}"))),
    }
}

/// Returns each version with all its staging labels.
fn versions(stages: &Stages) -> Vec<(&Version, Vec<&str>)> {
    let mut versions: BTreeMap<&str, (&Version, Vec<&str>)> = BTreeMap::new();
    for (stage, version) in stages {
        versions.entry(&version.id).or_insert((version, Vec::new())).1.push(stage);
    }
    versions.into_values().collect()
}

fn listed((version, stages): (&Version, Vec<&str>)) -> Value {
    let mut listed = json!({ "VersionId": version.id, "VersionStages": stages });
    if let Some(created_at) = version.created_at {
        listed["CreatedDate"] = created_at.as_second().into();
    }
    listed
}

/// Returns a secret's ARN; AWS also appends six random characters.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}")
}
