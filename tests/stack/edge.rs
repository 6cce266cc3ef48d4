//! Calls through the portal's distribution, whose part the tests play.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    rotation::secret_of,
    running::{EVERYDAY, MAINTAINED, Stack, operators_program},
};

const VIEWER: &str = "2001:db8:1::7";

type Headers<'a> = Vec<(&'a str, &'a str)>;

/// Returns the headers that the distribution adds to a call.
pub(crate) fn through_the_edge<'a>(viewer: &'a str, secret: &'a str) -> [(&'static str, &'a str); 2] {
    [("x-officepro-viewer-address", viewer), ("x-officepro-edge-secret", secret)]
}

/// Returns the secret that the distribution would send if deployed now.
pub(crate) fn edge_secret(stack: &Stack) -> String {
    pair(stack)["current"].as_str().unwrap().to_owned()
}

fn pair(stack: &Stack) -> Value {
    serde_json::from_str(secret_of(stack, "EdgeSecret")["value"].as_str().unwrap()).unwrap()
}

/// Creates a key that is valid only from 203.0.113.*.
pub(crate) async fn key_for_viewers(stack: &Stack) -> String {
    let partner = stack.admin("/v1/admin/partners", &json!({ "company": "Viewers" })).await;
    let key = json!({
        "partnerId": partner["data"]["id"], "name": "Viewers", "practicepass": "DemoOffice",
        "scopes": ["Prospects", "Scheduling"], "allowedCidrs": ["203.0.113.0/24"], "rateLimit": 100_000,
    });
    stack.admin("/v1/admin/keys", &key).await["data"]["apiKey"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn activity_and_audit_name_the_viewer_behind_the_distribution() {
    let stack = EVERYDAY.stack().await;
    let (secret, admin) = (edge_secret(&stack), stack.admin_secret());
    let [viewer, proof] = through_the_edge(VIEWER, &secret);
    let doubled = format!("{VIEWER}, {VIEWER}");
    let calls: [(&str, Headers, &str); 6] = [
        ("edge-proven-1", vec![viewer, proof], VIEWER),
        ("edge-without-1", vec![viewer], "127.0.0.1"),
        ("edge-wrong-1", through_the_edge(VIEWER, &secret[1..]).to_vec(), "127.0.0.1"),
        ("edge-twice-1", vec![viewer, viewer, proof], "127.0.0.1"),
        ("edge-twice-2", vec![viewer, proof, proof], "127.0.0.1"),
        ("edge-list-1", through_the_edge(&doubled, &secret).to_vec(), "127.0.0.1"),
    ];
    for (request_id, headers, _) in &calls {
        let mut headers = headers.clone();
        headers.extend([("x-admin-secret", admin.as_str()), ("x-request-id", request_id)]);
        let url = format!("{}/v1/admin/partners", stack.base);
        assert_eq!(stack.http.send_with("GET", &url, &headers, String::new()).await.unwrap().status, 200);
    }
    let audit = stack.admin_get("/v1/admin/audit?limit=100").await["data"].take();
    for (request_id, _, address) in &calls {
        let row = audit.as_array().unwrap().iter().find(|it| it["requestId"] == *request_id);
        assert_eq!(row.unwrap()["ip"], *address, "audit of {request_id}");
        assert_eq!(stack.recorded(request_id).await["ip"], *address, "activity of {request_id}");
    }
    for log in std::fs::read_dir(stack.folder.join("data/logs")).unwrap() {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!text.contains(&secret) && !text.contains("x-officepro-edge"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_edge_secret_stays_while_a_distribution_may_use_it() {
    let stack = MAINTAINED.stack().await;
    let version = || secret_of(&stack, "EdgeSecret")["id"].as_str().unwrap().to_owned();
    let (first, before) = (version(), edge_secret(&stack));
    stack.operate(&["rotate-edge-secret"]).await.expect();
    let both = pair(&stack);
    assert_eq!(both["previous"], before);
    let finish = |shown: &str| {
        let mut command = Command::new(operators_program());
        command.args(["rotate-edge-secret", "--finish"]).envs(as_in_aws(&stack, shown));
        async { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    for shown in ["unnamed", &first] {
        let done = finish(shown).await;
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success(), "{shown}");
        assert!(said.contains(&format!("EdgeSecretVersion={}", version())), "{said}");
        assert_eq!(pair(&stack), both, "{shown}");
    }
    let again = stack.operate(&["rotate-edge-secret"]).await.expect();
    assert!(again.contains(&format!("EdgeSecretVersion={}", version())), "{again}");
    assert_eq!(pair(&stack), both, "an interrupted rotation is not restarted");
    assert!(finish(&version()).await.status.success());
    assert_eq!(pair(&stack), json!({ "current": both["current"] }));
}

/// Returns the variables that infra/operate sets, with this stack's Secrets Manager instead of
/// AWS's.
fn as_in_aws(stack: &Stack, shown: &str) -> Vec<(&'static str, String)> {
    let file = std::fs::read(stack.folder.join("data/stack.json")).unwrap();
    let running: Value = serde_json::from_slice(&file).unwrap();
    let text = |name: &str| running[name].as_str().unwrap().to_owned();
    let unused = [
        "TOKEN_KEYS_SECRET",
        "ADMIN_SECRETS_SECRET",
        "CATALOG_DSN_SECRET",
        "MIGRATE_FUNCTION",
        "PRACTICE_SECRETS_PREFIX",
        "DATA_KEY_ARN",
    ];
    let mut variables: Vec<_> = unused.into_iter().map(|name| (name, "unused".to_owned())).collect();
    variables.extend([
        ("API_URL", text("baseUrl")),
        ("EDGE_SECRET", "EdgeSecret".to_owned()),
        ("EDGE_SECRET_VERSION", shown.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", text("accessKey")),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", text("secretsManagerUrl")),
    ]);
    variables
}
