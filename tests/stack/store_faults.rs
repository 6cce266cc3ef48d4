//! The control plane throttles, fails, refuses connections or does not respond: the API retries a
//! few times, then returns 503, and never grants access.

use serde_json::{Value, json};

use crate::{
    load::{Call, Caller, call_many},
    partner::Endpoint,
    running::Stack,
    store_gate::{Fault, StoreGate},
    wait::until,
};

const FAULTS: [Fault; 5] = [
    Fault::Error(400, "ThrottlingException"),
    Fault::Error(400, "ProvisionedThroughputExceededException"),
    Fault::Error(500, "InternalServerError"),
    Fault::Refused,
    Fault::NoResponse,
];
/// Environments per function, the stack's default.
const ENVIRONMENTS: usize = 4;
/// Attempts per request to the store.
const ATTEMPTS: usize = 4;

/// A key that no environment has seen yet, with its id and a token.
struct NewPartner {
    id: String,
    api_key: String,
    token: String,
}

async fn new_partner(stack: &Stack) -> NewPartner {
    let partner = stack.admin("/v1/admin/partners", &json!({ "company": "NewPartner" })).await;
    let key = json!({
        "partnerId": partner["data"]["id"], "name": "New", "practicepass": "DemoOffice",
        "scopes": ["Prospects"],
    });
    let key = stack.admin("/v1/admin/keys", &key).await["data"].take();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let (id, api_key) = (text("id"), text("apiKey"));
    let token = stack.token_of(&api_key).await;
    NewPartner { id, api_key, token }
}

/// Makes a call that needs the store.
async fn post(stack: &Stack, path: &str, headers: &[(&str, &str)], body: &Value) -> Call {
    let url = format!("{}{path}", stack.base);
    Call { reply: stack.http.send_with("POST", &url, headers, body.to_string()).await }
}

async fn create_partner(stack: &Stack, secret: &str) -> Call {
    let company = json!({ "company": "Intruder" });
    post(stack, "/v1/admin/partners", &[("x-admin-secret", secret)], &company).await
}

/// Asserts that the function itself tells the caller to retry: it gives up on the store before
/// others give up on it.
fn assert_function_asks_to_retry(call: &Call, what: &str) {
    assert!(call.function_asks_to_retry(), "{what}: {call:?}");
}

/// Returns a token with the signature of another one.
fn forged(token: &str, other: &str) -> String {
    let (body, _) = token.rsplit_once('.').unwrap();
    format!("{body}.{}", other.rsplit_once('.').unwrap().1)
}

async fn assert_nobody_is_admitted(stack: &Stack, gate: &mut StoreGate, fault: Fault) {
    let (valid, revoked) = (new_partner(stack).await, new_partner(stack).await);
    let path = format!("/v1/admin/keys/{}/revoke", revoked.id);
    stack.admin_with_status(&path, &json!({}), 200).await;
    gate.set(fault).await;
    gate.forget();

    let call = Caller::new(stack, &valid.token).get("/v1/DemoOffice/tags").await;
    assert_function_asks_to_retry(&call, &format!("{fault:?}: a valid token"));
    if fault != Fault::Refused {
        let tries = gate.requests_with(&valid.id);
        assert!((1..=ATTEMPTS).contains(&tries), "{fault:?}: {tries} requests for one key");
    }
    for (what, token) in
        [("a forged token", forged(&valid.token, &revoked.token)), ("a revoked key's token", revoked.token)]
    {
        let call = Caller::new(stack, &token).get("/v1/DemoOffice/tags").await;
        assert!(call.status() == 401 || call.function_asks_to_retry(), "{fault:?}: {what}: {call:?}");
    }

    let exchange = "/v1/DemoOffice/auth/token";
    let call = post(stack, exchange, &[], &json!({ "apiKey": valid.api_key })).await;
    assert_function_asks_to_retry(&call, &format!("{fault:?}: a token for a valid key"));
    let call = post(stack, exchange, &[], &json!({ "apiKey": revoked.api_key })).await;
    assert_function_asks_to_retry(&call, &format!("{fault:?}: a token for a revoked key"));
    let call = post(stack, "/v1/access-requests/claim", &[], &json!({ "token": "a".repeat(43) })).await;
    let refused = [400, 404, 422].contains(&call.status());
    assert!(refused || call.function_asks_to_retry(), "{fault:?}: a claim: {call:?}");
    // An environment that has just seen the right secret from this address checks one wrong secret
    // without counting it.
    let (mut wrong, mut tries) = (create_partner(stack, &"x".repeat(40)).await, 1);
    while wrong.status() == 401 && tries <= ENVIRONMENTS {
        wrong = create_partner(stack, &"x".repeat(40)).await;
        tries += 1;
    }
    assert_function_asks_to_retry(
        &wrong,
        &format!("{fault:?}: a wrong admin secret, which can't be counted"),
    );
    let call = create_partner(stack, &stack.admin_secret()).await;
    assert_function_asks_to_retry(&call, &format!("{fault:?}: the admin secret"));
    gate.set(Fault::None).await;
    let again = Caller::new(stack, &valid.token).get("/v1/DemoOffice/tags").await;
    assert!(again.is_good(), "{fault:?} is over: {again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_store_is_retried_admits_nobody_and_loses_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut gate = StoreGate::open(folder.path().join("data/stack.json")).await;
    let variable = format!("AWS_ENDPOINT_URL_DYNAMODB={}", gate.url());
    let stack = Stack::start(folder.path(), &["--every", "1", "--set", &variable]).await;
    let token = stack.token().await;
    let endpoint = Endpoint::open().await;
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Claims"] });
    stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&signup), 201).await;

    for (round, fault) in FAULTS.into_iter().enumerate() {
        // These events are in transit when the fault begins.
        stack.emit("Claims", 8).await;
        assert_nobody_is_admitted(&stack, &mut gate, fault).await;
        // A message that met several faults in a row would be received too often and become a dead
        // letter.
        endpoint.receives(8 * (round + 1), |it| it["event"] == "Claims").await;
    }

    // Write events before and while the store fails.
    stack.emit("Claims", 20).await;
    gate.set(Fault::Error(400, "ThrottlingException")).await;
    gate.forget();
    stack.emit("Claims", 20).await;
    until("work that meets the failing store", async || {
        let failed = gate.failed();
        if failed >= 10 * ATTEMPTS { Ok(()) } else { Err(format!("{failed} requests failed")) }
    })
    .await;

    // Three in ten requests fail, and retries hide nearly all failures.
    gate.set(Fault::Sometimes).await;
    gate.forget();
    let (key, base, http) = (stack.demo_key(|_| true), stack.base.clone(), stack.http.clone());
    let calls: Vec<Call> = call_many(60, 4, |_| {
        let (http, url) = (http.clone(), format!("{base}/v1/{}/auth/token", key.practicepass));
        let body = json!({ "apiKey": key.api_key }).to_string();
        async move { Call { reply: http.send_with("POST", &url, &[], body).await } }
    })
    .await;
    let (bad, failed) = (calls.iter().filter(|it| !it.is_good()).count(), gate.failed());
    println!("{bad} of {} calls failed while {failed} requests to the store did", calls.len());
    assert!(calls.iter().all(|it| it.is_good() || it.function_asks_to_retry()), "{calls:?}");
    assert!(failed >= calls.len() / 4, "too few requests failed to prove anything: {failed}");
    assert!(bad * 4 <= failed, "{bad} calls failed, with {failed} requests");
    gate.set(Fault::None).await;

    endpoint.receives(80, |it| it["event"] == "Claims").await;
    assert_eq!(stack.monitor().await["queue"]["deadLetters"], 0);
    for log in std::fs::read_dir(folder.path().join("data/logs")).unwrap() {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!text.contains("panicked"), "{text}");
    }
}
