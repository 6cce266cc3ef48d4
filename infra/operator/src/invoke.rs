//! Invokes the migrate function, on the local stack or in AWS.

use std::process::Stdio;

use http::{Request, StatusCode};
use migrate::{MigrateResponse, Task};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::admin_api::{client, exchange};
use crate::error::{Error, Result};

/// How to invoke the function.
#[derive(Clone)]
pub enum Invoker {
    /// The local stack.
    Local { url: String, access_key: String },
    /// AWS, through the AWS CLI: an SDK for this one call would take longer to compile than the
    /// rest of the program.
    Aws { function: String },
}

impl Invoker {
    /// Has the function perform the task.
    ///
    /// # Errors
    /// If the function could not be invoked, or failed as a whole.
    pub(crate) async fn invoke(&self, task: &Task) -> Result<MigrateResponse> {
        let event = serde_json::to_string(task).map_err(|error| Error::store("the task", error))?;
        match self {
            Self::Local { url, access_key } => locally(url, access_key, event).await,
            Self::Aws { function } => by_cli(function, event).await,
        }
    }
}

async fn locally(url: &str, access_key: &str, event: String) -> Result<MigrateResponse> {
    let request = Request::builder()
        .method("POST")
        .uri(format!("{url}/2015-03-31/functions/MigrateFunction/invocations"))
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={access_key}/local"))
        .body(event.into());
    let request = request.map_err(|error| Error::store("the migrate function", error))?;
    let answer = exchange(&client()?, request).await?;
    let failed = answer.headers.contains_key("x-amz-function-error") || answer.status != StatusCode::OK;
    understood(&answer.body, failed)
}

async fn by_cli(function: &str, event: String) -> Result<MigrateResponse> {
    let failed = || Error::io("aws (the AWS CLI, version 2)");
    let mut aws = tokio::process::Command::new("aws")
        .args(["lambda", "invoke", "--function-name", function, "--no-cli-pager", "--output", "json"])
        // A migration may take minutes, and a retry while it runs would not help.
        .args(["--cli-read-timeout", "900", "--cli-binary-format", "raw-in-base64-out"])
        // Not an argument, which other users could read: it may contain a connection string.
        .args(["--payload", "file:///dev/stdin", "/dev/stdout"])
        .env("AWS_MAX_ATTEMPTS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed())?;
    if let Some(mut stdin) = aws.stdin.take() {
        // If the CLI has already exited, it reports why itself.
        let _ = stdin.write_all(event.as_bytes()).await;
    }
    let output = aws.wait_with_output().await.map_err(failed())?;
    if !output.status.success() {
        return Err(Error::Refused("the migrate function could not be invoked".to_owned()));
    }
    of_cli(&output.stdout)
}

/// Parses the CLI's output: the function's response, followed by the CLI's own status.
fn of_cli(printed: &[u8]) -> Result<MigrateResponse> {
    let mut values = serde_json::Deserializer::from_slice(printed).into_iter::<Value>();
    let answer = values.next().and_then(std::result::Result::ok).unwrap_or_default();
    let call = values.next().and_then(std::result::Result::ok).unwrap_or_default();
    understood(answer.to_string().as_bytes(), call.get("FunctionError").is_some())
}

/// The error that Lambda returns for a failed invocation.
#[derive(Default, Deserialize)]
struct Failure {
    #[serde(rename = "errorMessage", alias = "Message")]
    message: Option<String>,
}

fn understood(body: &[u8], failed: bool) -> Result<MigrateResponse> {
    if !failed {
        return serde_json::from_slice(body)
            .map_err(|error| Error::store("the migrate function's response", error));
    }
    let failure: Failure = serde_json::from_slice(body).unwrap_or_default();
    let cause = failure.message.as_deref().unwrap_or("unknown cause");
    Err(Error::Refused(format!("the migrate function failed: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::of_cli;

    #[test]
    fn the_cli_status_is_read_after_the_function_response() {
        let good = of_cli(b"{\"results\":[]}{\n  \"StatusCode\": 200\n}\n").unwrap();
        assert!(good.results.is_empty());
        let failed = br#"{"errorMessage":"out of time"}{"StatusCode":200,"FunctionError":"Unhandled"}"#;
        assert!(of_cli(failed).unwrap_err().to_string().contains("out of time"));
    }
}
