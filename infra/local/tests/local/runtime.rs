use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use officepro_local::runtime::{InvocationResult, InvokeError};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::probe::{Bench, Process, WAITING, eventually, is_alive, script};

const IDLE: Duration = Duration::from_mins(10);
const LONG: Duration = Duration::from_mins(10);

fn success(text: &str) -> InvocationResult {
    InvocationResult::Success(text.to_owned().into())
}

/// Waits long enough for something wrong to happen.
async fn wait_a_moment() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test]
async fn a_runtime_gets_the_event_and_the_caller_gets_the_response() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let now = || jiff::Timestamp::now().as_millisecond();
    let before = now();
    let invocation = bench.invoke(r#"{"a":1}"#);
    let process = bench.process().await;
    let variables = &process.variables;
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "Probe");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    assert_eq!(variables["AWS_REGION"], "us-east-1");
    assert_eq!(variables["FROM_TEMPLATE"], "yes");
    assert!(!variables.contains_key("CARGO_MANIFEST_DIR"), "nothing of our own environment leaks in");

    let (status, headers, event) =
        process.call(Method::GET, "/2018-06-01/runtime/invocation/next", &[], "").await;
    assert_eq!((status.as_u16(), &*event), (200, br#"{"a":1}"#.as_slice()));
    let header = |name: &str| headers[name].to_str().unwrap();
    let deadline: i64 = header("lambda-runtime-deadline-ms").parse().unwrap();
    let begun = deadline - i64::try_from(LONG.as_millis()).unwrap();
    assert!((before..=now()).contains(&begun), "the deadline is the timeout after its beginning");
    assert_eq!(
        header("lambda-runtime-invoked-function-arn"),
        "arn:aws:lambda:us-east-1:000000000000:function:Probe"
    );
    assert!(header("lambda-runtime-trace-id").starts_with("Root=1-"));
    let id = header("lambda-runtime-aws-request-id");
    assert_eq!(id.len(), 36);

    assert_eq!(process.respond("another-id", "{}").await, 400);
    let (status, ..) = process.call(Method::GET, "/2018-06-01/runtime/invocation/next", &[], "").await;
    assert_eq!(status, 403, "next before the response breaks the protocol");
    assert_eq!(process.respond(id, r#"{"b":2}"#).await, 202);
    assert_eq!(invocation.await.unwrap().unwrap(), success(r#"{"b":2}"#));
    assert_eq!(process.respond(id, "{}").await, 400, "an invocation is answered once");
}

#[tokio::test]
async fn a_function_error_reaches_the_caller_and_keeps_the_environment() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let invocation = bench.invoke("{}");
    let process = bench.process().await;
    let (id, _) = process.next().await;
    let error = json!({ "errorType": "Mine", "errorMessage": "no", "stackTrace": [] });
    let path = format!("/2018-06-01/runtime/invocation/{id}/error");
    assert_eq!(process.call(Method::POST, &path, &[], &error.to_string()).await.0, 202);
    assert_eq!(invocation.await.unwrap().unwrap(), InvocationResult::Failure(error));

    let again = bench.invoke("1");
    let (id, _) = process.next().await;
    process.respond(&id, "2").await;
    assert_eq!(again.await.unwrap().unwrap(), success("2"));
}

#[tokio::test]
async fn the_next_invocation_waits_for_extensions_but_the_reply_does_not() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let first = bench.invoke("1");
    let process = bench.process().await;
    let (status, flusher, registered) = process.register("flusher", r#"["INVOKE"]"#).await;
    assert_eq!(status, 200);
    assert_eq!(
        registered,
        json!({
            "functionName": "Probe", "functionVersion": "$LATEST", "handler": "bootstrap",
            "accountId": "000000000000",
        })
    );
    let (status, silent, _) = process.register("silent", "[]").await;
    assert_eq!(status, 200);

    // Init does not end before the extensions have asked, too.
    let mut runtime = Box::pin(process.next());
    assert!(timeout(Duration::from_millis(150), &mut runtime).await.is_err());
    let mut silent_next = Box::pin(process.extension_next(&silent));
    assert!(timeout(Duration::from_millis(50), &mut silent_next).await.is_err());
    let (event, (id, _)) = tokio::join!(process.extension_next(&flusher), runtime);
    assert_eq!(
        (event["eventType"].as_str(), event["requestId"].as_str()),
        (Some("INVOKE"), Some(id.as_str()))
    );
    assert!(event["deadlineMs"].is_u64() && event["tracing"]["type"] == "X-Amzn-Trace-Id");
    assert!(
        timeout(Duration::from_millis(50), &mut silent_next).await.is_err(),
        "it registered for no events"
    );

    process.respond(&id, "one").await;
    assert_eq!(first.await.unwrap().unwrap(), success("one"), "the reply goes out at once");
    let second = bench.invoke("2");
    let mut runtime = Box::pin(process.next());
    assert!(timeout(Duration::from_millis(150), &mut runtime).await.is_err(), "the extension still works");
    let (_, (id, event)) = tokio::join!(process.extension_next(&flusher), runtime);
    assert_eq!(&*event, b"2");
    process.respond(&id, "two").await;
    assert_eq!(second.await.unwrap().unwrap(), success("two"));
    assert_eq!(bench.host.process_count("Probe"), 1);
}

#[tokio::test]
async fn a_slow_extension_uses_no_concurrency() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let first = bench.invoke("1");
    let process = bench.process().await;
    let (_, worker, _) = process.register("worker", r#"["INVOKE"]"#).await;
    let (_, (id, _)) = tokio::join!(process.extension_next(&worker), process.next());
    process.respond(&id, "one").await;
    assert_eq!(first.await.unwrap().unwrap(), success("one"));
    let second = bench.invoke("2");
    let other = bench.process().await;
    let (id, event) = other.next().await;
    assert_eq!(&*event, b"2");
    other.respond(&id, "two").await;
    assert_eq!(second.await.unwrap().unwrap(), success("two"));
    assert!(is_alive(process.pid), "its extension still works");
}

#[tokio::test]
async fn an_extension_has_the_limits_of_an_internal_extension() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let _invocation = bench.invoke("{}");
    let process = bench.process().await;
    let (status, _, body) = process.register("late", r#"["INVOKE","SHUTDOWN"]"#).await;
    assert_eq!(status, 403);
    assert_eq!(body["errorType"], "ShutdownEventNotSupportedForInternalExtension");
    assert_eq!(process.register("one", r#"["INVOKE"]"#).await.0, 200);
    assert_eq!(process.register("one", r#"["INVOKE"]"#).await.0, 403, "names are unique");
    let headers = [("Lambda-Extension-Identifier", "stranger")];
    let (status, ..) = process.call(Method::GET, "/2020-01-01/extension/event/next", &headers, "").await;
    assert_eq!(status, 403);
    let next = process.next();
    assert!(timeout(Duration::from_millis(50), next).await.is_err());
    assert_eq!(process.register("two", "[]").await.0, 403, "registration ends with the first next");
}

#[tokio::test]
async fn a_function_is_killed_at_its_timeout_and_replaced() {
    let bench = Bench::new(Duration::from_secs(1), 1, IDLE).await;
    let invocation = bench.invoke("{}");
    let process = bench.process().await;
    process.next().await;
    let InvocationResult::Failure(error) = invocation.await.unwrap().unwrap() else { panic!("it succeeded") };
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Task timed out after 1.00 seconds"), "{message}");
    eventually("the process's end", || (!is_alive(process.pid)).then_some(())).await;

    let again = bench.invoke("1");
    let replacement = bench.process().await;
    let (id, _) = replacement.next().await;
    replacement.respond(&id, "2").await;
    assert_eq!(again.await.unwrap().unwrap(), success("2"));
}

#[tokio::test]
async fn a_killed_process_fails_only_its_own_invocation() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let hit = bench.invoke("1");
    let process = bench.process().await;
    process.next().await;
    let waiting = bench.invoke("2");
    wait_a_moment().await;
    process.kill();
    let InvocationResult::Failure(error) = hit.await.unwrap().unwrap() else { panic!("it succeeded") };
    assert_eq!(error["errorType"], "Runtime.ExitError");

    let replacement = bench.process().await;
    let (id, event) = replacement.next().await;
    assert_eq!(&*event, b"2");
    replacement.respond(&id, "two").await;
    assert_eq!(waiting.await.unwrap().unwrap(), success("two"));

    // Killing an idle process affects nobody.
    let runtime = poll_in_background(&replacement);
    wait_a_moment().await;
    replacement.kill();
    runtime.abort();
    eventually("its end", || (bench.host.process_count("Probe") == 0).then_some(())).await;
    let after = bench.invoke("3");
    let third = bench.process().await;
    let (id, _) = third.next().await;
    third.respond(&id, "three").await;
    assert_eq!(after.await.unwrap().unwrap(), success("three"));
}

/// Lets the process ask for its next invocation in the background.
fn poll_in_background(process: &crate::probe::Process) -> tokio::task::JoinHandle<()> {
    let copy = crate::probe::Process::copy(process);
    tokio::spawn(async move {
        copy.call(Method::GET, "/2018-06-01/runtime/invocation/next", &[], "").await;
    })
}

#[tokio::test]
async fn an_init_error_reaches_the_waiting_caller() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let invocation = bench.invoke("{}");
    let process = bench.process().await;
    let headers = [("Lambda-Runtime-Function-Error-Type", "Runtime.NoConfig")];
    let body = r#"{"errorMessage":"TABLE is missing"}"#;
    let (status, ..) = process.call(Method::POST, "/2018-06-01/runtime/init/error", &headers, body).await;
    assert_eq!(status, 202);
    let expected = json!({ "errorType": "Runtime.NoConfig", "errorMessage": "TABLE is missing" });
    assert_eq!(invocation.await.unwrap().unwrap(), InvocationResult::Failure(expected));
}

#[tokio::test]
async fn environments_scale_with_load_and_the_last_idle_one_stays() {
    let bench = Bench::new(LONG, 2, Duration::from_millis(300)).await;
    let invocations = [bench.invoke("1"), bench.invoke("2"), bench.invoke("3")];
    let (one, two) = (bench.process().await, bench.process().await);
    let (first, _) = one.next().await;
    let (second, _) = two.next().await;
    wait_a_moment().await;
    assert_eq!(bench.host.process_count("Probe"), 2, "the third waits");
    one.respond(&first, "a").await;
    let (third, event) = one.next().await;
    assert_eq!(&*event, b"3");
    one.respond(&third, "c").await;
    two.respond(&second, "b").await;
    for invocation in invocations {
        assert!(matches!(invocation.await.unwrap().unwrap(), InvocationResult::Success(_)));
    }
    let (_one, _two) = (poll_in_background(&one), poll_in_background(&two));
    eventually("the end of one", || (bench.host.process_count("Probe") == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(bench.host.process_count("Probe"), 1);
    assert!(is_alive(one.pid) != is_alive(two.pid));
}

#[tokio::test]
async fn stopping_ends_every_process_and_rejects_new_invocations() {
    let bench = Bench::new(LONG, 2, IDLE).await;
    let unanswered = bench.invoke("1");
    let process = bench.process().await;
    process.next().await;
    bench.host.stop().await;
    assert!(!is_alive(process.pid));
    assert!(matches!(unanswered.await.unwrap(), Ok(InvocationResult::Failure(_))));
    assert_eq!(bench.invoke("2").await.unwrap(), Err(InvokeError::Stopping));
}

#[tokio::test]
async fn unknown_environments_wrong_calls_and_huge_responses_are_rejected() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let invocation = bench.invoke("{}");
    let mut process = bench.process().await;
    assert_eq!(process.call(Method::GET, "/2018-06-01/runtime/nonsense", &[], "").await.0, 404);
    let (id, _) = process.next().await;
    assert_eq!(process.respond(&id, &"x".repeat(6 * 1024 * 1024 + 1)).await, 413);
    let InvocationResult::Failure(error) = invocation.await.unwrap().unwrap() else { panic!("it succeeded") };
    assert_eq!(error["errorType"], Value::from("Function.ResponseSizeTooLarge"));
    let address = process.variables["AWS_LAMBDA_RUNTIME_API"].rsplit_once('/').unwrap().0.to_owned();
    process.variables.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), format!("{address}/guessed"));
    assert_eq!(process.call(Method::GET, "/2018-06-01/runtime/invocation/next", &[], "").await.0, 404);
}

#[tokio::test]
async fn output_is_written_to_the_function_log() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let _invocation = bench.invoke("{}");
    let process = bench.process().await;
    let log = bench.folder.path().join("logs/probe.log");
    let expected = format!("started as {}\n", process.pid);
    eventually("a line in the log", || (std::fs::read_to_string(&log).ok()? == expected).then_some(())).await;
}

#[tokio::test]
async fn a_new_version_takes_over_while_the_old_one_finishes_its_calls() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let begun = bench.invoke("1");
    let old = bench.process().await;
    let (first, _) = old.next().await;
    bench.host.deploy(&BTreeMap::from([("probe".to_owned(), script())]));
    let new = bench.process().await;
    let (after, runtime) = (bench.invoke("2"), new.next());
    let (second, event) = runtime.await;
    assert_eq!(&*event, b"2");
    new.respond(&second, "two").await;
    assert_eq!(after.await.unwrap().unwrap(), success("two"));
    assert!(is_alive(old.pid), "its invocation isn't over");
    old.respond(&first, "one").await;
    assert_eq!(begun.await.unwrap().unwrap(), success("one"));
    let waiting = poll_in_background(&old);
    eventually("the end of the old version", || (!is_alive(old.pid)).then_some(())).await;
    waiting.abort();
    eventually("only the new one", || (bench.host.process_count("Probe") == 1).then_some(())).await;
}

#[tokio::test]
async fn environments_of_a_new_version_start_one_by_one() {
    let bench = Bench::new(LONG, 2, IDLE).await;
    let _begun = [bench.invoke("1"), bench.invoke("2")];
    for _ in 0..2 {
        bench.process().await.next().await;
    }
    bench.host.deploy(&BTreeMap::from([("probe".to_owned(), script())]));
    let first = bench.process().await;
    wait_a_moment().await;
    assert!(bench.started().is_none(), "the first has not started");
    let first = poll_in_background(&first);
    let second = bench.process().await;
    let second = poll_in_background(&second);
    bench.host.stop().await;
    first.abort();
    second.abort();
}

#[tokio::test]
async fn a_version_that_fails_to_start_replaces_nothing() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let _first = bench.invoke("1");
    let old = bench.process().await;
    let (id, _) = old.next().await;
    old.respond(&id, "one").await;
    let copy = Process::copy(&old);
    let runtime = tokio::spawn(async move { copy.next().await });
    wait_a_moment().await;
    bench.host.deploy(&BTreeMap::from([("probe".to_owned(), "/nowhere/bootstrap".into())]));
    wait_a_moment().await;
    let after = bench.invoke("2");
    let (id, event) = runtime.await.unwrap();
    assert_eq!(&*event, b"2");
    old.respond(&id, "two").await;
    assert_eq!(after.await.unwrap().unwrap(), success("two"));
}

#[tokio::test]
async fn a_new_version_starts_once_no_invocation_waits() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let begun = bench.invoke("1");
    let old = bench.process().await;
    let (first, _) = old.next().await;
    let waiting = bench.invoke("2");
    bench.waits(1).await;
    bench.host.deploy(&BTreeMap::from([("probe".to_owned(), script())]));
    wait_a_moment().await;
    assert!(
        bench.started().is_none(),
        "its start would take the processor from the old version, which is late already"
    );
    old.respond(&first, "one").await;
    let (second, event) = old.next().await;
    assert_eq!(&*event, b"2");
    let new = bench.process().await;
    old.respond(&second, "two").await;
    for invocation in [begun, waiting] {
        assert!(matches!(invocation.await.unwrap().unwrap(), InvocationResult::Success(_)));
    }
    let (_old, _new) = (poll_in_background(&old), poll_in_background(&new));
    eventually("the end of the old version", || (!is_alive(old.pid)).then_some(())).await;
}

#[tokio::test]
async fn invocations_queue_for_a_busy_environment_up_to_a_limit() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let busy = bench.invoke("busy");
    let process = bench.process().await;
    let (id, _) = process.next().await;
    let waiting: Vec<_> = (0..WAITING).map(|_| bench.invoke("waiting")).collect();
    bench.waits(WAITING).await;
    assert_eq!(bench.invoke("too many").await.unwrap(), Err(InvokeError::Throttled));

    process.respond(&id, "done").await;
    assert_eq!(busy.await.unwrap().unwrap(), success("done"));
    for invocation in waiting {
        let (id, _) = process.next().await;
        process.respond(&id, "late").await;
        assert_eq!(invocation.await.unwrap().unwrap(), success("late"));
    }
}

#[tokio::test]
async fn a_disconnected_caller_leaves_the_queue() {
    let bench = Bench::new(LONG, 1, IDLE).await;
    let _busy = bench.invoke("busy");
    let process = bench.process().await;
    let (id, _) = process.next().await;
    let waiting: Vec<_> = (0..WAITING).map(|_| bench.invoke("gone")).collect();
    bench.waits(WAITING).await;
    for invocation in waiting {
        invocation.abort();
        assert!(invocation.await.unwrap_err().is_cancelled());
    }
    let patient = bench.invoke("patient");
    process.respond(&id, "done").await;
    let (id, event) = process.next().await;
    assert_eq!(&*event, b"patient", "nobody waits for the others");
    process.respond(&id, "late").await;
    assert_eq!(patient.await.unwrap().unwrap(), success("late"));
}
