//! The control plane throttles, fails, refuses connections or falls silent: few retries, then 503, and nobody gets in by it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    http::Reply,
    load::{Call, Caller, at_rate},
    partner::Endpoint,
    running::{MACHINE, Stack},
    store_gate::{Fault, StoreGate},
};

const FAULTS: [Fault; 5] = [
    Fault::Error(400, "ThrottlingException"),
    Fault::Error(400, "ProvisionedThroughputExceededException"),
    Fault::Error(500, "InternalServerError"),
    Fault::Refused,
    Fault::Silence,
];
/// Three seconds in the store and what the machine adds.
const LIMIT: Duration = Duration::from_millis(4_500);
/// Of one function, as the stack has them without a word.
const ENVIRONMENTS: usize = 4;
/// How often a request to the store is tried.
const ATTEMPTS: usize = 4;

/// A key that no environment has seen yet, with its id and a token of it.
struct Newcomer {
    id: String,
    api_key: String,
    token: String,
}

async fn newcomer(stack: &Stack) -> Newcomer {
    let partner = stack.admin("/v1/admin/partners", &json!({ "company": "Newcomer" })).await;
    let key = json!({
        "partnerId": partner["data"]["id"], "name": "New", "practicepass": "DemoOffice", "scopes": ["Prospects"],
    });
    let key = stack.admin("/v1/admin/keys", &key).await["data"].take();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let (id, api_key) = (text("id"), text("apiKey"));
    let token = stack.token_of(&api_key).await;
    Newcomer { id, api_key, token }
}

/// One call that needs the store, and what must come of it.
async fn post(stack: &Stack, path: &str, headers: &[(&str, &str)], body: &Value) -> (Reply, Duration) {
    let began = Instant::now();
    let url = format!("{}{path}", stack.base);
    let reply = stack.http.send_with("POST", &url, headers, body.to_string()).await.unwrap();
    (reply, began.elapsed())
}

async fn create_partner(stack: &Stack, secret: &str) -> (Reply, Duration) {
    let company = json!({ "company": "Intruder" });
    post(stack, "/v1/admin/partners", &[("x-admin-secret", secret)], &company).await
}

fn assert_told_to_come_back(reply: &Reply, took: Duration, what: &str) {
    assert_eq!(reply.status, 503, "{what}: {}", reply.body);
    assert!(reply.headers.contains_key("retry-after"), "{what}: {:?}", reply.headers);
    assert!(took < LIMIT, "{what} took {took:?}");
}

/// A token whose signature is of another one.
fn forged(token: &str, other: &str) -> String {
    let (body, _) = token.rsplit_once('.').unwrap();
    format!("{body}.{}", other.rsplit_once('.').unwrap().1)
}

async fn nobody_gets_in(stack: &Stack, gate: &mut StoreGate, fault: Fault) {
    let (valid, revoked) = (newcomer(stack).await, newcomer(stack).await);
    let path = format!("/v1/admin/keys/{}/revoke", revoked.id);
    stack.admin_with_status(&path, &json!({}), 200).await;
    gate.set(fault).await;
    gate.forget();

    let call = Caller::new(stack, &valid.token).get("/v1/DemoOffice/tags").await;
    assert_told_to_come_back(call.reply.as_ref().unwrap(), call.took, &format!("{fault:?}: a valid token"));
    if fault != Fault::Refused {
        let tries = gate.requests_with(&valid.id);
        assert!((1..=ATTEMPTS).contains(&tries), "{fault:?}: {tries} requests for one key");
    }
    for (what, token) in
        [("a forged token", forged(&valid.token, &revoked.token)), ("a revoked key's token", revoked.token)]
    {
        let call = Caller::new(stack, &token).get("/v1/DemoOffice/tags").await;
        assert!([401, 503].contains(&call.status()), "{fault:?}: {what}: {call:?}");
        assert!(call.took < LIMIT, "{fault:?}: {what} took {:?}", call.took);
    }

    let exchange = "/v1/DemoOffice/auth/token";
    let (reply, took) = post(stack, exchange, &[], &json!({ "apiKey": valid.api_key })).await;
    assert_told_to_come_back(&reply, took, &format!("{fault:?}: a token for a valid key"));
    let (reply, took) = post(stack, exchange, &[], &json!({ "apiKey": revoked.api_key })).await;
    assert_told_to_come_back(&reply, took, &format!("{fault:?}: a token for a revoked key"));
    let (reply, took) =
        post(stack, "/v1/access-requests/claim", &[], &json!({ "token": "a".repeat(43) })).await;
    assert!([400, 404, 422, 503].contains(&reply.status), "{fault:?}: a claim: {}", reply.body);
    assert!(took < LIMIT, "{fault:?}: a claim took {took:?}");
    // An environment that has just seen the right secret from here looks at one wrong secret without counting it.
    let mut wrong = (401, 0);
    while wrong.0 == 401 && wrong.1 <= ENVIRONMENTS {
        let (reply, took) = create_partner(stack, &"x".repeat(40)).await;
        assert!([401, 503].contains(&reply.status), "{fault:?}: a wrong admin secret: {}", reply.body);
        assert!(took < LIMIT, "{fault:?}: a wrong admin secret took {took:?}");
        wrong = (reply.status, wrong.1 + 1);
    }
    assert_eq!(wrong.0, 503, "{fault:?}: a wrong secret is looked at although it can't be counted");
    let (reply, took) = create_partner(stack, &stack.admin_secret()).await;
    assert_told_to_come_back(&reply, took, &format!("{fault:?}: the admin secret"));
    gate.set(Fault::None).await;
    let again = Caller::new(stack, &valid.token).get("/v1/DemoOffice/tags").await;
    assert!(again.is_good(), "{fault:?} is over: {again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_is_retried_a_few_times_and_lets_nobody_in_and_no_event_is_lost() {
    let _machine = MACHINE.read().await;
    let folder = tempfile::tempdir().unwrap();
    let mut gate = StoreGate::open(folder.path().join("data/stack.json")).await;
    let variable = format!("AWS_ENDPOINT_URL_DYNAMODB={}", gate.url());
    let stack = Stack::start(folder.path(), &["--every", "1", "--set", &variable]).await;
    let token = stack.token().await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;

    stack.emit("Claims", 20).await;
    for fault in FAULTS {
        nobody_gets_in(&stack, &mut gate, fault).await;
        stack.emit("Claims", 4).await;
    }

    // Events are written while the store fails, and in transit while it begins to.
    stack.emit("Claims", 20).await;
    gate.set(Fault::Error(400, "ThrottlingException")).await;
    stack.emit("Claims", 20).await;
    tokio::time::sleep(Duration::from_secs(4)).await;

    // Three in ten requests fail: retries hide nearly all of it.
    gate.set(Fault::Sometimes).await;
    let (key, base, http) = (stack.demo_key(|_| true), stack.base.clone(), stack.http.clone());
    let calls: Vec<Call> = at_rate(10, Duration::from_secs(6), 4, |_| {
        let (http, url) = (http.clone(), format!("{base}/v1/{}/auth/token", key.practicepass));
        let body = json!({ "apiKey": key.api_key }).to_string();
        async move {
            let began = Instant::now();
            let reply = http.send_with("POST", &url, &[], body).await;
            Call { took: began.elapsed(), reply }
        }
    })
    .await;
    let good = calls.iter().filter(|it| it.is_good()).count();
    println!("{good} of {} calls succeeded while three in ten requests to the store failed", calls.len());
    assert!(calls.iter().all(|it| it.is_good() || it.status() == 503), "{calls:?}");
    assert!(good * 10 >= calls.len() * 8, "{good} of {}", calls.len());
    gate.set(Fault::None).await;

    endpoint.wait_for(80, Duration::from_mins(2), |it| it["event"] == "Claims").await;
    assert_eq!(stack.monitor().await["queue"]["deadLetters"], 0);
    for log in std::fs::read_dir(folder.path().join("data/logs")).unwrap() {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!text.contains("panicked"), "{text}");
    }
}
