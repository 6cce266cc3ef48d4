//! Every secret is rotated by operator commands during calls, none of which fails.
//!
//! Outsiders call, too, so that processes have just asked for the newest secrets when a rotation
//! starts and may not ask again yet. At the end, the replaced secrets are rejected.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    edge::{edge_secret, key_for_viewers, through_the_edge},
    http::Http,
    partner::Endpoint,
    running::{Stack, kill},
    wait::{until, until_true},
};

/// Calls that are repeated until told to stop.
struct Calls {
    http: Http,
    base: String,
    stop: AtomicBool,
    made: AtomicUsize,
    /// Number of rounds by kind of call.
    rounds: [AtomicUsize; 5],
    failed: Mutex<Vec<String>>,
    tokens: Mutex<Vec<String>>,
    api_keys: Mutex<Vec<String>>,
    admin_secrets: Mutex<Vec<String>>,
    /// The secrets that the portal's distribution sends; edge locations may differ.
    edge_secrets: Mutex<Vec<String>>,
    /// Locked during calls to the function that signs tokens.
    signing: tokio::sync::Mutex<()>,
}

/// Calls of a kind that reach both environments of a function.
const ROUNDS: usize = 6;

/// Functions that verify tokens, with a path of each.
const VERIFYING: [(&str, &str); 4] = [
    ("tags", "/v1/DemoOffice/tags"),
    ("products", "/v1/products?limit=1"),
    ("prospects", "/v1/DemoOffice/prospects?limit=1"),
    ("kb", "/v1/kb?limit=1"),
];

impl Calls {
    fn last(list: &Mutex<Vec<String>>) -> String {
        list.lock().unwrap().last().unwrap().clone()
    }

    fn first(list: &Mutex<Vec<String>>) -> String {
        list.lock().unwrap()[0].clone()
    }

    /// Makes one call, which must return this status; returns the body.
    async fn call(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: &str,
        wanted: u16,
    ) -> Value {
        let url = format!("{}{path}", self.base);
        let reply = self.http.send_with(method, &url, headers, body.to_owned()).await;
        self.made.fetch_add(1, Ordering::Relaxed);
        match reply {
            Some(reply) if reply.status == wanted => reply.body,
            other => {
                let said = other.map(|it| (it.status, it.body.to_string()));
                self.failed.lock().unwrap().push(format!("{method} {path}: {said:?}"));
                Value::Null
            }
        }
    }

    async fn as_partner(&self, token: &str, method: &str, path: &str, body: &str, wanted: u16) -> Value {
        let authorization = format!("Bearer {token}");
        self.call(&[("authorization", &authorization)], method, path, body, wanted).await
    }

    fn assert_none_failed(&self, when: &str) {
        let failed = self.failed.lock().unwrap().clone();
        let made = self.made.load(Ordering::Relaxed);
        let (count, first) = (failed.len(), &failed[..failed.len().min(5)]);
        assert!(failed.is_empty(), "{when}: {count} of {made} calls failed: {first:?}");
    }

    /// Waits until all kinds of calls have been made often enough to reach every process.
    async fn wait_for_rounds(&self) {
        let before: Vec<usize> = self.rounds.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        until("calls of every kind", async || {
            let now = self.rounds.iter().map(|it| it.load(Ordering::Relaxed));
            let since: Vec<usize> = now.zip(&before).map(|(now, before)| now - before).collect();
            if since.iter().all(|rounds| *rounds >= ROUNDS) { Ok(()) } else { Err(format!("{since:?}")) }
        })
        .await;
    }

    fn count_round(&self, kind: usize) {
        self.rounds[kind].fetch_add(1, Ordering::Relaxed);
    }

    fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    async fn with_the_first_token(self: Arc<Self>) {
        let token = Self::first(&self.tokens);
        while self.is_running() {
            self.as_partner(&token, "GET", "/v1/DemoOffice/tags", "", 200).await;
            self.as_partner(&token, "GET", "/v1/products?limit=1", "", 200).await;
            self.count_round(0);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Exchanges keys for tokens and uses them immediately.
    async fn with_new_tokens(self: Arc<Self>) {
        while self.is_running() {
            let body = json!({ "apiKey": Self::last(&self.api_keys) }).to_string();
            let path = "/v1/DemoOffice/auth/token";
            let signing = self.signing.lock().await;
            let answer = self.call(&[], "POST", path, &body, 200).await;
            drop(signing);
            let Some(token) = answer["accessToken"].as_str() else { continue };
            let named = json!({ "NickName": format!("Nick {}", self.made.load(Ordering::Relaxed)) });
            self.as_partner(token, "PUT", "/v1/DemoOffice/prospects/1001", &named.to_string(), 200).await;
            self.as_partner(token, "GET", "/v1/DemoOffice/prospects?limit=1", "", 200).await;
            self.as_partner(token, "GET", "/v1/kb?limit=1", "", 200).await;
            self.count_round(1);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Makes every process ask for the newest token keys as often as it may.
    async fn as_strangers(self: Arc<Self>) {
        let forged = forged(&Self::first(&self.tokens));
        while self.is_running() {
            for (_, path) in VERIFYING {
                let calls = (0..2).map(|_| self.as_partner(&forged, "GET", path, "", 401));
                futures::future::join_all(calls).await;
            }
            self.count_round(2);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn as_administrator(self: Arc<Self>) {
        while self.is_running() {
            for secret in [Self::first(&self.admin_secrets), Self::last(&self.admin_secrets)] {
                self.call(&[("x-admin-secret", &secret)], "GET", "/v1/admin/partners?limit=1", "", 200).await;
            }
            self.count_round(3);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Calls with a key that is valid only in the viewers' network: if the API did not trust the
    /// distribution, the call would fail.
    async fn through_the_distribution(self: Arc<Self>, api_key: String) {
        let body = json!({ "apiKey": api_key }).to_string();
        let mut authorization = String::new();
        while self.is_running() {
            let secrets = self.edge_secrets.lock().unwrap().clone();
            for secret in secrets {
                let edge = through_the_edge("203.0.113.9", &secret);
                if authorization.is_empty() {
                    let answer = self.call(&edge, "POST", "/v1/DemoOffice/auth/token", &body, 200).await;
                    authorization = format!("Bearer {}", answer["accessToken"].as_str().unwrap_or_default());
                }
                let headers = [edge[0], edge[1], ("authorization", authorization.as_str())];
                self.call(&headers, "GET", "/v1/me", "", 200).await;
                self.call(&headers, "GET", "/v1/DemoOffice/visit-types", "", 200).await;
            }
            self.count_round(4);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Returns a token signed by a key that never existed.
fn forged(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"k9"}"#);
    format!("{header}.{}", token.split_once('.').unwrap().1)
}

/// Returns the id of the key that signed a token.
fn kid_of(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// Kills all processes of a function, so that new ones have no cached secrets.
async fn replace(stack: &Stack, function: &str) {
    let old = stack.processes_of(function);
    old.iter().copied().for_each(kill);
    // A process disappears once the stack has noticed its end.
    let gone = async || !old.iter().any(|pid| Path::new("/proc").join(pid.to_string()).exists());
    until_true("the end of the processes", gone).await;
}

/// Returns the current version of a secret: `id` and `value`.
pub(crate) fn secret_of(stack: &Stack, name: &str) -> Value {
    let file = std::fs::read(stack.folder.join("data/secrets.json")).unwrap();
    let document: Value = serde_json::from_slice(&file).unwrap();
    document["secrets"][name]["AWSCURRENT"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_secret_can_be_rotated_under_load_without_a_failed_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = std::env::var("TEST_POSTGRES_URL").ok();
    let mut arguments = vec!["--every", "1", "--environments", "2"];
    if let Some(server) = &server {
        arguments.extend(["--practice-db", server]);
    }
    let stack = Stack::start(folder.path(), &arguments).await;
    let demo: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("data/demo.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let endpoint = Endpoint::open().await;
    let token = stack.token().await;
    let hook = json!({ "hookUrl": endpoint.url, "scopes": ["Patients"] });
    let hook = stack.expect(&token, "POST", "/v1/webhooks/signup", Some(&hook), 201).await;
    let calls = Arc::new(Calls {
        http: Http::new(),
        base: stack.base.clone(),
        stop: AtomicBool::new(false),
        made: AtomicUsize::new(0),
        rounds: Default::default(),
        failed: Mutex::default(),
        tokens: Mutex::new(vec![token.clone()]),
        api_keys: Mutex::new(vec![text(&demo["keys"][0]["apiKey"])]),
        admin_secrets: Mutex::new(vec![text(&demo["adminSecret"])]),
        edge_secrets: Mutex::new(vec![edge_secret(&stack)]),
        signing: tokio::sync::Mutex::default(),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&calls).with_the_first_token());
    tasks.spawn(Arc::clone(&calls).with_new_tokens());
    tasks.spawn(Arc::clone(&calls).as_administrator());
    tasks.spawn(Arc::clone(&calls).through_the_distribution(key_for_viewers(&stack).await));
    tasks.spawn(Arc::clone(&calls).as_strangers());
    calls.wait_for_rounds().await;

    let keys_before = secret_of(&stack, "TokenKeysSecret")["value"].clone();
    let said = stack.operate(&["rotate-token-key"]).await.expect();
    assert!(said.contains("k2 signs new tokens"), "{said}");
    assert_ne!(secret_of(&stack, "TokenKeysSecret")["value"], keys_before);
    // A signing process can be replaced at any time; the new one signs with the new key
    // immediately.
    let signing = calls.signing.lock().await;
    replace(&stack, "auth").await;
    drop(signing);
    calls.wait_for_rounds().await;
    calls.assert_none_failed("the token key");
    let said = stack.operate(&["rotate-token-key", "--finish"]).await.expect();
    assert!(said.contains("No key was removed") && said.contains("k1 still verifies"), "{said}");

    let guess = [("x-admin-secret", "a-guess-of-the-admin-secret-0123456789")];
    let guesses = (0..4).map(|_| calls.call(&guess, "GET", "/v1/admin/partners?limit=1", "", 401));
    futures::future::join_all(guesses).await;
    let said = stack.operate(&["rotate-admin-secret"]).await.expect();
    let new = said.lines().find_map(|line| line.strip_prefix("New admin secret, shown only once: ")).unwrap();
    calls.admin_secrets.lock().unwrap().push(new.to_owned());
    calls.wait_for_rounds().await;
    calls.assert_none_failed("the admin secret");
    let said = stack.operate(&["rotate-admin-secret"]).await.expect_failure();
    assert!(said.contains("a rotation is in progress"), "{said}");

    rotate_edge_secret(&stack, &calls).await;
    rotate_databases(&stack).await;
    rotate_api_key(&calls).await;
    let before = text(&hook["data"]["secret"]);
    let rotated = stack.expect(&token, "POST", "/v1/webhooks/rotate-secret", None, 200).await;
    stack.emit("Patients", 2).await;
    // Events from before the rotation have one signature, later ones two.
    let new = text(&rotated["data"]["secret"]);
    until("events with both signatures", async || {
        let arrivals = endpoint.arrivals();
        let both = arrivals.iter().filter(|it| it.is_signed_with(&before) && it.is_signed_with(&new)).count();
        if both >= 2 { Ok(()) } else { Err(format!("{both} of {}", arrivals.len())) }
    })
    .await;
    assert!(endpoint.arrivals().iter().all(|it| it.is_signed_with(&before)));
    // Also use what was rotated last for a while.
    calls.wait_for_rounds().await;
    calls.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    calls.assert_none_failed("in the end");
    let made = calls.made.load(Ordering::Relaxed);
    eprintln!("{made} calls while every secret was rotated, none failed");

    the_admin_secret_before_ends(&stack, &calls).await;
    the_token_key_before_ends(&stack, &calls).await;
}

async fn the_admin_secret_before_ends(stack: &Stack, calls: &Calls) {
    let (old, new) = (Calls::first(&calls.admin_secrets), Calls::last(&calls.admin_secrets));
    let url = format!("{}/v1/admin/partners?limit=1", stack.base);
    let status = async |secret: &str| {
        let reply = stack.http.send_with("GET", &url, &[("x-admin-secret", secret)], String::new()).await;
        reply.unwrap().status
    };
    replace(stack, "admin").await;
    assert_eq!((status(&old).await, status(&new).await), (200, 200));
    stack.operate_with(&["rotate-admin-secret", "--finish", "--stdin"], &new).await.expect();
    assert!(!secret_of(stack, "AdminSecretsSecret")["value"].as_str().unwrap().contains("previous"));
    replace(stack, "admin").await;
    assert_eq!((status(&old).await, status(&new).await), (401, 200));
}

/// Rotates like a deployment: one edge location after another sends the new secret; once all do,
/// the previous one is ended.
async fn rotate_edge_secret(stack: &Stack, calls: &Calls) {
    let before = edge_secret(stack);
    let said = stack.operate(&["rotate-edge-secret"]).await.expect();
    let new = edge_secret(stack);
    let version = secret_of(stack, "EdgeSecret")["id"].as_str().unwrap().to_owned();
    assert!(new != before && said.contains(&format!("EdgeSecretVersion={version}")), "{said}");
    calls.edge_secrets.lock().unwrap().push(new.clone());
    calls.wait_for_rounds().await;
    *calls.edge_secrets.lock().unwrap() = vec![new.clone()];
    calls.wait_for_rounds().await;
    stack.operate(&["rotate-edge-secret", "--finish"]).await.expect();
    assert_eq!(edge_secret(stack), new);
}

async fn the_token_key_before_ends(stack: &Stack, calls: &Calls) {
    let (old, new) = (Calls::first(&calls.tokens), stack.token_of(&Calls::last(&calls.api_keys)).await);
    assert_eq!((kid_of(&old), kid_of(&new)), ("k1".to_owned(), "k2".to_owned()));
    let expect = async |wanted: (u16, u16)| {
        for (function, path) in VERIFYING {
            replace(stack, function).await;
            let status = async |token: &str| stack.send(token, "GET", path, None).await.unwrap().status;
            assert_eq!((status(&old).await, status(&new).await), wanted, "{path}");
        }
    };
    expect((200, 200)).await;
    retire_a_day_ago(stack, "k1").await;
    let said = stack.operate(&["rotate-token-key", "--finish"]).await.expect();
    assert!(said.contains("Removed k1"), "{said}");
    expect((401, 200)).await;
}

/// Pretends that the rotation was 26 hours ago.
async fn retire_a_day_ago(stack: &Stack, kid: &str) {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
    let mut keys: Value =
        serde_json::from_str(secret_of(stack, "TokenKeysSecret")["value"].as_str().unwrap()).unwrap();
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(26);
    keys["retired"][kid] = then.to_string().into();
    let addresses = std::fs::read(stack.folder.join("data/stack.json")).unwrap();
    let addresses: Value = serde_json::from_slice(&addresses).unwrap();
    let text = |name: &str| addresses[name].as_str().unwrap();
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(text("secretsManagerUrl"))
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(text("accessKey"), "local", None, None, "tests"))
        .build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let put = client.put_secret_value().secret_id("TokenKeysSecret").secret_string(keys.to_string());
    put.send().await.unwrap();
}

/// Gives the databases of the practice and the catalog second logins and removes the first ones;
/// for files, changes the spelling of the URL.
async fn rotate_databases(stack: &Stack) {
    let secrets = ["local/practices/DemoOffice", "CatalogDsnSecret"];
    for (secret, command) in secrets
        .into_iter()
        .zip([vec!["set-practice-dsn", "DemoOffice", "--dsn-stdin"], vec!["set-catalog-dsn", "--dsn-stdin"]])
    {
        let before = secret_of(stack, secret)["value"].as_str().unwrap().to_owned();
        let Some(url) = before.strip_prefix("postgres://") else {
            stack.operate_with(&command, &format!("{before}?mode=rw")).await.expect();
            continue;
        };
        let (login, rest) = url.split_once('@').unwrap();
        let (role, _) = login.split_once(':').unwrap();
        let new = format!("{role}_second");
        admin_sql(&format!(
            "create role {new} login password 'second' in role {role}; alter role {new} set role {role}"
        ))
        .await;
        stack.operate_with(&command, &format!("postgres://{new}:second@{rest}")).await.expect();
        // Sooner than the runbook says: existing connections stay, new ones must use the new login.
        admin_sql(&format!("alter role {role} nologin")).await;
    }
}

async fn admin_sql(statements: &str) {
    use sqlx::{AssertSqlSafe, Connection, Executor};
    let url = std::env::var("TEST_POSTGRES_URL").unwrap();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    connection.execute(AssertSqlSafe(statements.to_owned())).await.unwrap();
}

/// Rotates a partner's key as an administrator: for a day both secrets are valid, as are tokens of
/// the previous one.
async fn rotate_api_key(calls: &Calls) {
    let key = Calls::last(&calls.api_keys);
    let id = key.split('_').nth(2).unwrap().to_owned();
    let secret = Calls::last(&calls.admin_secrets);
    let path = format!("/v1/admin/keys/{id}/rotate");
    let body = json!({ "overlap": "24h" }).to_string();
    let answer = calls.call(&[("x-admin-secret", &secret)], "POST", &path, &body, 200).await;
    calls.api_keys.lock().unwrap().push(answer["data"]["apiKey"].as_str().unwrap().to_owned());
}
