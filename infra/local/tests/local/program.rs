//! Tests of the program itself, in a small project whose function is the probe's script.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::probe::{Process, ends, eventually, is_alive, is_word, script};
use crate::sqs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_officepro-local");

/// The template passes the script the folder for its files (`WORDS` stands for it) in a variable.
const TEMPLATE: &str = "
Resources:
  Probe:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/probe
      Timeout: 600
      Environment: {Variables: {PROBE_FOLDER: WORDS, QUEUE: !Ref Events}}
      Events:
        Get: {Type: HttpApi, Properties: {Method: GET, Path: '/v1/{PPass}/things'}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/worker
      Timeout: 600
      Environment: {Variables: {PROBE_FOLDER: WORDS/worker}}
      Events:
        Queue:
          Type: SQS
          Properties: {Queue: !GetAtt Events.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}
  Events:
    Type: AWS::SQS::Queue
  Spare:
    Type: AWS::SQS::Queue
";

struct Project {
    folder: tempfile::TempDir,
}

/// A running program; killed when the test ends, if not before.
struct Running {
    child: Child,
    addresses: Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("functions")).unwrap();
        fs::create_dir_all(root.join("words/worker")).unwrap();
        fs::create_dir_all(root.join("infra/portal")).unwrap();
        fs::write(root.join("infra/portal/index.html"), "<h1>portal</h1>").unwrap();
        let words = root.join("words");
        fs::write(root.join("template.yaml"), TEMPLATE.replace("WORDS", words.to_str().unwrap())).unwrap();
        for name in ["probe", "worker"] {
            std::os::unix::fs::symlink(script(), root.join("functions").join(name)).unwrap();
        }
        Self { folder }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.folder.path()).env_remove("CARGO_MANIFEST_DIR");
        command
    }

    async fn start(&self) -> Running {
        let file = self.folder.path().join(".local/stack.json");
        let _ = fs::remove_file(&file);
        let mut command = self.command();
        command.args(["--binaries", "functions", "--port", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let addresses = eventually("the start of the stack", || fs::read(&file).ok()).await;
        Running { child, addresses: serde_json::from_slice(&addresses).unwrap() }
    }

    async fn process(&self, folder: &str) -> Process {
        let folder = self.folder.path().join(folder);
        eventually("the start of a function", || {
            let mut files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let is_started = |file: &Path| {
                let name = file.file_name().unwrap().to_str().unwrap();
                is_word(name)
            };
            let file = files.find(|file| is_started(file))?;
            let process = Process::read(&file);
            fs::remove_file(file).unwrap();
            Some(process)
        })
        .await
    }
}

impl Running {
    fn url(&self, name: &str) -> String {
        self.addresses[name].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, http::HeaderMap, Bytes) {
        let mut request =
            Request::builder().method(Method::GET).uri(format!("{}{path}", self.url("baseUrl")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let (parts, body) = client.request(request).await.unwrap().into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }
}

#[tokio::test]
async fn a_request_becomes_an_event_and_the_reply_a_response() {
    let project = Project::new();
    let running = project.start().await;
    let function = async {
        let process = project.process("words").await;
        let (id, event) = process.next().await;
        let event: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event["routeKey"], "GET /v1/{PPass}/things");
        assert_eq!(event["pathParameters"], json!({ "PPass": "Demo" }));
        assert_eq!(process.variables["WEBHOOK_ALLOW_LOOPBACK"], "true");
        assert!(process.variables["AWS_ENDPOINT_URL_DYNAMODB"].starts_with("http://127.0.0.1:"));
        let queue = format!("{}/000000000000/Events", running.url("sqsUrl"));
        assert_eq!(process.variables["QUEUE"], queue);
        process.respond(&id, r#"{"statusCode":202,"headers":{"x-own":"1"},"body":"done"}"#).await;
        process
    };
    let ((status, headers, body), process) = tokio::join!(running.get("/v1/Demo/things", &[]), function);
    assert_eq!((status.as_u16(), &*body), (202, b"done".as_slice()));
    assert_eq!(headers["x-own"], "1");

    let (status, _, _) = running.get("/v1/Demo/other", &[]).await;
    assert_eq!(status, 404);
    let (status, headers, body) = running.get("/", &[]).await;
    assert_eq!((status.as_u16(), &*body), (200, b"<h1>portal</h1>".as_slice()));
    assert!(headers.contains_key("content-security-policy"));
    let (status, _, _) = running.get("/", &[("Host", "attacker.example")]).await;
    assert_eq!(status, 421, "another name than localhost is refused");
    let (status, headers, body) =
        running.get("/v1/Demo/things", &[("Host", "localhost"), ("Host", "localhost")]).await;
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (400, &"application/problem+json".parse().unwrap())
    );
    assert!(headers.contains_key("x-request-id"), "two hosts, even the same, are a problem like any other");
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "INVALID_HEADER");
    let (status, _, _) = running.get("/v1/Demo/things", &[("Host", "localhost:99999")]).await;
    assert_eq!(status, 421, "no port has this number");
    let long = "x".repeat(11_000);
    assert_eq!(running.get("/v1/Demo/things", &[("X-Long", &long)]).await.0, 431);

    let answering = async {
        let (id, _) = process.next().await;
        let path = format!("/2018-06-01/runtime/invocation/{id}/error");
        process.call(Method::POST, &path, &[], "{}").await;
    };
    let ((status, _, body), ()) = tokio::join!(running.get("/v1/Demo/things", &[]), answering);
    assert_eq!((status.as_u16(), &*body), (500, br#"{"message":"Internal Server Error"}"#.as_slice()));
}

#[tokio::test]
async fn kill_9_ends_the_functions_and_loses_no_acknowledged_message() {
    let project = Project::new();
    let mut running = project.start().await;
    let client = sqs::client(&running.url("sqsUrl"), &running.url("accessKey"));
    let spare = format!("{}/000000000000/Spare", running.url("sqsUrl"));
    let request = tokio::spawn({
        let url = format!("{}/v1/Demo/things", running.url("baseUrl"));
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        async move { client.get(url.parse().unwrap()).await.is_err() }
    });
    let process = project.process("words").await;
    // Kill it while senders are in the middle of their work.
    let mut senders = tokio::task::JoinSet::new();
    let so_far = Arc::new(AtomicUsize::new(0));
    for sender in 0..4 {
        let (client, url, so_far) = (client.clone(), spare.clone(), Arc::clone(&so_far));
        senders.spawn(async move {
            let mut acknowledged = vec![];
            for number in 0.. {
                let body = format!("{sender}-{number}");
                match client.send_message().queue_url(&url).message_body(&body).send().await {
                    Ok(_) => {
                        acknowledged.push(body);
                        so_far.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    eventually("the senders' work", || (so_far.load(Ordering::Relaxed) > 50).then_some(())).await;
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let acknowledged = senders.join_all().await.concat();
    assert!(request.await.unwrap(), "the caller's connection broke");
    eventually("the end of the function", || (!is_alive(process.pid)).then_some(())).await;

    let running = project.start().await;
    let client = sqs::client(&running.url("sqsUrl"), &running.url("accessKey"));
    let spare = format!("{}/000000000000/Spare", running.url("sqsUrl"));
    let mut found = std::collections::HashSet::new();
    loop {
        let receive = client.receive_message().queue_url(&spare).max_number_of_messages(10);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            break;
        }
        found.extend(messages.into_iter().map(|message| message.body.unwrap()));
    }
    let lost: Vec<_> = acknowledged.iter().filter(|body| !found.contains(*body)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test]
async fn messages_reach_the_function_and_only_failed_ones_are_redelivered() {
    let project = Project::new();
    let running = project.start().await;
    let client = sqs::client(&running.url("sqsUrl"), &running.url("accessKey"));
    let url = format!("{}/000000000000/Events", running.url("sqsUrl"));
    let send = |body: &'static str| client.send_message().queue_url(&url).message_body(body).send();
    send("first").await.unwrap();
    let process = project.process("words/worker").await;
    let (id, event) = process.next().await;
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["Records"][0]["body"], "first");
    assert_eq!(event["Records"][0]["eventSource"], "aws:sqs");
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": event["Records"][0]["messageId"] }] });
    process.respond(&id, &failed.to_string()).await;

    let (id, event) = process.next().await;
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["Records"][0]["body"], "first", "it is redelivered");
    assert_eq!(event["Records"][0]["attributes"]["ApproximateReceiveCount"], "2");
    process.respond(&id, r#"{"batchItemFailures":[]}"#).await;
    let attributes = || async {
        let request = client.get_queue_attributes().queue_url(&url);
        let request = request.attribute_names(aws_sdk_sqs::types::QueueAttributeName::All);
        request.send().await.unwrap().attributes.unwrap()
    };
    let deleted = async {
        loop {
            let left = attributes().await;
            if left
                .iter()
                .all(|(name, value)| !name.as_str().starts_with("ApproximateNumber") || value == "0")
            {
                break;
            }
        }
    };
    ends("the deletion", deleted).await;
}

#[tokio::test]
async fn a_new_stack_redelivers_the_messages_in_flight_at_a_crash() {
    let project = Project::new();
    let mut running = project.start().await;
    let client = sqs::client(&running.url("sqsUrl"), &running.url("accessKey"));
    let url = format!("{}/000000000000/Events", running.url("sqsUrl"));
    client.send_message().queue_url(&url).message_body("in work").send().await.unwrap();
    let process = project.process("words/worker").await;
    process.next().await;
    running.child.kill().unwrap();
    running.child.wait().unwrap();

    let _running = project.start().await;
    let process = project.process("words/worker").await;
    let (_, event) = process.next().await;
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["Records"][0]["body"], "in work");
}

#[tokio::test]
async fn a_terminated_stack_stops_cleanly_and_reset_deletes_its_data() {
    let project = Project::new();
    let mut running = project.start().await;
    let refused = project.command().arg("reset").output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop it first"));
    let second = project.command().args(["--binaries", "functions", "--port", "0"]).output().unwrap();
    assert!(!second.status.success(), "two stacks can't share a folder");

    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = eventually("the end of the stack", || running.child.try_wait().unwrap()).await;
    assert!(status.success());
    assert!(!project.folder.path().join(".local/stack.json").exists());
    assert!(project.folder.path().join(".local/sqs.sqlite").exists());
    let reset = project.command().arg("reset").output().unwrap();
    assert!(reset.status.success());
    assert!(!project.folder.path().join(".local").exists());
}
