//! The functions' roles in use: nothing that a function needs is denied, and the report lists what
//! was used.

use serde_json::{Value, json};

use crate::{
    main_job::{booking, free_slots},
    partner::Endpoint,
    running::{Stack, send_signal},
    wait::until,
};

/// Grants that the run must have used: one for each way of granting and each kind of caller.
const NEEDED: [(&str, &str, &str); 22] = [
    ("AuthFunction", "CallerPolicy/KeysPartnersAndPractices", "dynamodb:GetItem"),
    ("AuthFunction", "CallerPolicy/LastUseOfKeys", "dynamodb:UpdateItem"),
    ("AdminFunction", "Admin/Secrets", "secretsmanager:GetSecretValue"),
    ("AdminFunction", "Admin/CountMessages", "sqs:GetQueueAttributes"),
    ("AdminFunction", "Admin/AgeOfSecrets", "secretsmanager:ListSecretVersionIds"),
    ("AdminFunction", "Admin/ControlLists", "dynamodb:Query"),
    ("AdminFunction", "Admin/Control", "dynamodb:Query"),
    ("AdminFunction", "Admin/ManualRetries", "dynamodb:PutItem"),
    ("PortalFunction", "Portal/Control", "dynamodb:PutItem"),
    ("PortalFunction", "Portal/SessionsLimitsAndAnswers", "dynamodb:DeleteItem"),
    ("MeFunction", "Me/Profile", "dynamodb:PutItem"),
    ("MeFunction", "Me/Usage", "dynamodb:Query"),
    ("MetaFunction", "Meta/CallRecord", "dynamodb:PutItem"),
    ("KbFunction", "CatalogPolicy/CatalogSecret", "secretsmanager:GetSecretValue"),
    ("VisitsFunction", "PracticePolicy/PracticeSecrets", "secretsmanager:GetSecretValue"),
    ("WebhooksFunction", "IdempotencyPolicy/IdempotencyRecords", "dynamodb:PutItem"),
    ("WebhooksFunction", "Webhooks/Subscriptions", "dynamodb:DeleteItem"),
    ("LogPollerFunction", "LogPoller/Send", "sqs:SendMessage"),
    ("LogPollerFunction", "LogPoller/RunRecord", "dynamodb:UpdateItem"),
    ("LogPollerFunction", "CatalogPolicy/CatalogSecret", "secretsmanager:GetSecretValue"),
    ("WebhookFanoutFunction", "DeliverPolicy/Deliveries", "dynamodb:PutItem"),
    ("MigrateFunction", "Migrate/Practices", "dynamodb:GetItem"),
];

/// Uses every group of endpoints.
async fn tour(stack: &Stack, endpoint: &Endpoint) {
    let token = stack.token().await;
    let get = async |path: &str| stack.expect(&token, "GET", path, None, 200).await;
    let post = async |path: &str, body: Value, status: u16| {
        stack.expect(&token, "POST", path, Some(&body), status).await
    };
    let signup = json!({ "hookUrl": endpoint.url, "scopes": ["Encounters"] });
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "once")];
    let url = format!("{}/v1/webhooks/signup", stack.base);
    for _ in 0..2 {
        let reply = stack.http.send_with("POST", &url, &headers, signup.to_string()).await.unwrap();
        assert_eq!(reply.status, 201, "{}", reply.body);
        stack.note(&reply);
    }
    let patient = get("/v1/DemoOffice/prospects?limit=1").await["data"][0]["PatientID"].as_i64().unwrap();
    let slot = free_slots(stack, &token).await.remove(0);
    post("/v1/DemoOffice/visits/book", booking(patient, &slot), 201).await;
    get(&format!("/v1/DemoOffice/tags/prospects/{patient}")).await;
    post("/v1/DemoOffice/tickets", json!({ "Subject": "S", "Description": "D" }), 201).await;
    for path in ["/v1/products", "/v1/kb", "/v1/me", "/v1/me/usage"] {
        get(path).await;
    }
    endpoint.receives(1, |_| true).await;
    post("/v1/webhooks/test", json!({}), 200).await;
    let id = get("/v1/webhooks/deliveries").await["data"][0]["id"].as_i64().unwrap();
    post(&format!("/v1/webhooks/deliveries/{id}/retry"), json!({}), 200).await;
    stack.admin_with_status(&format!("/v1/admin/webhooks/retry/{id}"), &json!({}), 200).await;
    stack.expect(&token, "PATCH", "/v1/me", Some(&json!({ "contactName": "Nia Bell" })), 200).await;
    stack.expect(&token, "DELETE", "/v1/webhooks", None, 200).await;
    stack.overview().await;
    stack.monitor().await;
    until("a stack that is ready", async || {
        let readiness = stack.admin_get("/v1/admin/readiness").await;
        (readiness["data"]["status"] == "ready").then_some(()).ok_or_else(|| readiness.to_string())
    })
    .await;
    stack.operate(&["migrate", "--all"]).await.expect();
}

/// Requests access, claims a key, and signs in to the portal and out with it.
async fn through_the_portal(stack: &Stack) {
    let call = async |method: &str, path: &str, cookie: &str, body: &Value| {
        let url = format!("{}{path}", stack.base);
        let headers = [("origin", stack.base.as_str()), ("x-requested-with", "portal"), ("cookie", cookie)];
        let reply = stack.http.send_with(method, &url, &headers, body.to_string()).await.unwrap();
        stack.note(&reply);
        reply
    };
    let request_body = json!({
        "company": "Nova Care", "practice": "DemoOffice", "contact": "Nia Bell", "email": "nia@nova.example",
        "requestedScopes": ["Prospects"],
    });
    assert_eq!(call("POST", "/v1/access-requests", "", &request_body).await.status, 202);
    let list = stack.admin_get("/v1/admin/access-requests?status=pending").await;
    let approve = format!("/v1/admin/access-requests/{}/approve", list["data"][0]["id"].as_str().unwrap());
    let approved = stack.admin_with_status(&approve, &json!({}), 200).await;
    let token = approved["data"]["claimUrl"].as_str().unwrap().split_once("#claim=").unwrap().1.to_owned();
    let claimed = call("POST", "/v1/access-requests/claim", "", &json!({ "token": token })).await;
    assert_eq!(claimed.status, 201, "{}", claimed.body);
    for key in [claimed.body["data"]["apiKey"].as_str().unwrap(), &stack.admin_secret()] {
        let path = "/v1/portal/session";
        let entered = call("POST", path, "", &json!({ "accessKey": key })).await;
        assert_eq!(entered.status, 201, "{}", entered.body);
        let cookie = entered.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        assert_eq!(call("GET", path, cookie, &Value::Null).await.status, 200);
        assert_eq!(call("DELETE", path, cookie, &Value::Null).await.status, 200);
    }
    stack.admin_get("/v1/admin/audit").await;
}

/// Stops the stack gracefully; returns its report on the roles.
async fn report(stack: &mut Stack) -> Value {
    send_signal(stack.pid(), "TERM");
    let file = stack.folder.join("data/permissions.json");
    until("the report of a stack that has ended", async || {
        let report = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        report.ok_or_else(String::new)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_are_never_denied_a_call_and_used_permissions_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::start(folder.path(), &["--every", "1"]).await;
    let endpoint = Endpoint::open().await;
    tour(&stack, &endpoint).await;
    through_the_portal(&stack).await;
    // Records of calls are written after their responses.
    stack.all_recorded().await;
    let report = report(&mut stack).await;
    let log = std::fs::read_to_string(folder.path().join("stack.log")).unwrap();
    let refused: Vec<&str> = log.lines().filter(|line| line.starts_with("ERROR permissions")).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let used = |(function, statement, action): &&(&str, &str, &str)| {
        let mut grants = report[function].as_array().unwrap().iter();
        grants.any(|it| it["statement"] == **statement && it["action"] == **action && it["used"] == true)
    };
    let unused: Vec<_> = NEEDED.iter().filter(|it| !used(it)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}
