//! Secrets that change while functions run: new ones are known when they are needed, and no secret
//! is accepted for too long.

use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::{
    Client,
    config::{
        BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
        interceptors::BeforeTransmitInterceptorContextRef, retry::RetryConfig,
    },
    error::BoxError,
};
use futures::future::join_all;
use officepro_local::permissions::Permissions;
use officepro_local::secrets::{Secrets as Vault, SecretsServer};
use serde_json::json;
use shared::{
    app::{App, Background, BruteForce, CallLog, KeyCache, Parts, Random, RateLimits},
    auth::{KeyRecord, api_key::ApiKey, secret_ref::SecretRef, token::TokenRing},
    catalog::Catalogs,
    control::{Queue, Secrets, Store, practices::Practice},
    domain::PracticePass,
    egress::{self, Guard, Reach, SystemResolver},
    tenant::Practices,
};

use crate::{
    office::{ADMIN_SECRET, EDGE_SECRET, Engine, Office, request_from, run_sql, timeouts},
    viewer_address::{EDGE, seen, through_the_edge},
};

const K1: &str = r#""k1":"0123456789abcdef0123456789abcdef""#;
const K2: &str = r#""k2":"fedcba9876543210fedcba9876543210""#;
const NEW_EDGE_SECRET: &str = "new-edge-secret-of-the-tests-0123456";
const NEW_ADMIN_SECRET: &str = "new-admin-secret-of-the-tests-012345";

/// Counts how often a secret was fetched.
#[derive(Clone, Debug, Default)]
struct Fetches(Arc<Mutex<usize>>);

impl Fetches {
    fn take(&self) -> usize {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Intercept for Fetches {
    fn name(&self) -> &'static str {
        "Fetches"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

/// An office whose secrets are in a Secrets Manager.
pub(crate) struct Rotating {
    pub(crate) office: Office,
    app: App,
    pub(crate) vault: Vault,
    server: SecretsServer,
    fetches: Fetches,
    _files: tempfile::TempDir,
}

impl Rotating {
    pub(crate) async fn open(engine: Engine) -> Self {
        let mut office = Office::open(engine).await;
        let files = tempfile::tempdir().unwrap();
        let vault = Vault::open(&files.path().join("secrets.json"), &[]).unwrap();
        vault.set("keys", &format!(r#"{{"active":"k1",{K1}}}"#)).unwrap();
        vault.set("admin", &json!({ "current": ADMIN_SECRET }).to_string()).unwrap();
        vault.set("edge", &json!({ "current": EDGE_SECRET }).to_string()).unwrap();
        let server =
            SecretsServer::start(vault.clone(), Permissions::of_operator("tests").into()).await.unwrap();
        let fetches = Fetches::default();
        let client = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&server.endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("tests", "tests", None, None, "tests"))
            .retry_config(RetryConfig::disabled())
            .interceptor(fetches.clone());
        let mut config = office.app.config.clone();
        config.token_keys = Some(SecretRef::from("keys".to_owned()));
        config.admin_secrets = Some(SecretRef::from("admin".to_owned()));
        config.edge_secret = Some(SecretRef::from("edge".to_owned()));
        let app = App::new(Parts {
            control: Store::with_client(office.dynamodb.clone(), config.tables.clone()),
            config,
            clock: office.app.clock.clone(),
            random: Random::system(),
            queue: Queue::new(None, None, None),
            hooks: egress::Client::new(Guard::new(Arc::new(SystemResolver), Reach::Internet)),
            secrets: Secrets::with_client(Client::from_conf(client.build())),
            practices: Practices::default().with_timeouts(timeouts::DATABASE),
            catalogs: Catalogs::default().with_timeouts(timeouts::DATABASE),
            keys: KeyCache::default(),
            rates: RateLimits::default(),
            brute_force: BruteForce::default(),
            calls: CallLog::default(),
            background: Background::default(),
        });
        office.answer_with(app.clone());
        Self { office, app, vault, server, fetches, _files: files }
    }

    /// Returns the apparent address of a call whose distribution sends this secret.
    async fn address_with(&self, secret: &str) -> String {
        address_by(&self.app, secret).await
    }

    async fn key(&self) -> KeyRecord {
        let id = ApiKey::parse(self.office.api_key("all")).unwrap().id;
        self.app.control.api_key(&id).await.unwrap().unwrap()
    }

    /// Returns a token that this ring signs now.
    async fn token_of(&self, ring: &str) -> String {
        let ring = TokenRing::from_secret(ring, "tests").unwrap();
        ring.issue(&self.key().await, self.app.clock.now()).unwrap()
    }

    async fn status_with(&self, token: &str) -> u16 {
        self.office.send(token, "GET", "/v1/me", None).await.status.as_u16()
    }

    async fn status_of_admin(&self, secret: &str) -> u16 {
        self.office
            .call("GET", "/v1/admin/partners", &[("x-admin-secret", secret)], None)
            .await
            .status
            .as_u16()
    }
}

const VIEWER: &str = "2001:db8:1::7";

async fn address_by(app: &App, secret: &str) -> String {
    seen(app, request_from(EDGE, "GET", "/v1/where", &through_the_edge(VIEWER, secret), None)).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_rotated_key_is_valid_despite_a_cached_key() {
    let it = Rotating::open(Engine::Sqlite).await;
    let old = it.token_of(&only_k1()).await;
    assert_eq!(it.status_with(&old).await, 200);
    let id = it.key().await.id;
    let path = format!("/v1/admin/keys/{}/rotate", id.as_str());
    it.office.admin("POST", &path, Some(&json!({ "overlap": "24h" }))).await.expect(200);
    let new = it.token_of(&only_k1()).await;
    // Another process rotated the key: the cache of this one is stale.
    assert_eq!(it.status_with(&new).await, 200);
    assert_eq!(it.status_with(&old).await, 200);
}

fn only_k1() -> String {
    format!(r#"{{"active":"k1",{K1}}}"#)
}

fn both_keys() -> String {
    format!(r#"{{"active":"k2","retired":{{"k1":"2026-03-09T12:00:00Z"}},{K1},{K2}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_new_signing_key_is_valid_at_once() {
    let it = Rotating::open(Engine::Sqlite).await;
    let old = it.token_of(&only_k1()).await;
    assert_eq!(it.status_with(&old).await, 200);
    it.office.set_time("2026-03-09T12:00:11Z");
    it.vault.set("keys", &both_keys()).unwrap();
    let new = it.token_of(&both_keys()).await;
    assert_eq!(it.status_with(&new).await, 200);
    assert_eq!(it.status_with(&old).await, 200, "the previous key still verifies");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_invented_key_ids_costs_one_fetch_per_ten_seconds() {
    let it = Rotating::open(Engine::Sqlite).await;
    let good = it.token_of(&only_k1()).await;
    assert_eq!(it.status_with(&good).await, 200);
    let mut forged = vec![];
    for n in 0..100 {
        let ring = only_k1().replace("k1", &format!("k{}", n + 1000));
        forged.push(it.token_of(&ring).await);
    }
    let flood = async || join_all(forged.iter().map(|token| it.status_with(token))).await;
    it.fetches.take();
    for (time, fetches) in
        [("12:00:00", 0), ("12:00:09", 0), ("12:00:10", 1), ("12:00:19", 0), ("12:00:20", 1)]
    {
        it.office.set_time(&format!("2026-03-09T{time}Z"));
        assert!(flood().await.iter().all(|status| *status == 401), "{time}");
        assert_eq!(it.fetches.take(), fetches, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_token_costs_no_fetch() {
    let it = Rotating::open(Engine::Sqlite).await;
    let good = it.token_of(&only_k1()).await;
    assert_eq!(it.status_with(&good).await, 200);
    it.office.set_time("2026-03-09T12:00:30Z");
    it.fetches.take();
    let (head, _) = good.rsplit_once('.').unwrap();
    for bad in ["x", "a.b.c", &format!("{head}.AAAA"), &"e".repeat(5000)] {
        assert_eq!(it.status_with(bad).await, 401);
    }
    assert_eq!(it.fetches.take(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_that_need_one_secret_fetch_it_once() {
    let it = Rotating::open(Engine::Sqlite).await;
    let token = it.token_of(&only_k1()).await;
    let statuses = join_all((0..50).map(|_| it.status_with(&token))).await;
    assert!(statuses.iter().all(|status| *status == 200));
    assert_eq!(it.fetches.take(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_removed_key_end_within_five_minutes() {
    let it = Rotating::open(Engine::Sqlite).await;
    let token = it.token_of(&only_k1()).await;
    assert_eq!(it.status_with(&token).await, 200);
    it.vault.set("keys", &format!(r#"{{"active":"k2",{K2}}}"#)).unwrap();
    it.office.set_time("2026-03-09T12:05:00Z");
    assert_eq!(it.status_with(&token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_secret_is_used_for_an_hour_while_secrets_manager_is_down() {
    let it = Rotating::open(Engine::Sqlite).await;
    let known = it.token_of(&only_k1()).await;
    let unknown = it.token_of(&both_keys()).await;
    assert_eq!(it.status_with(&known).await, 200);
    let Rotating { office, app, server, .. } = it;
    server.stop().await;
    let status = async |token: &str| office.send(token, "GET", "/v1/me", None).await.status.as_u16();
    for time in ["12:05:00", "12:06:00", "12:59:59"] {
        office.set_time(&format!("2026-03-09T{time}Z"));
        assert_eq!(status(&known).await, 200, "{time}");
        assert_eq!(status(&unknown).await, 503, "{time}: it may be one of a newer key");
    }
    office.set_time("2026-03-09T13:00:00Z");
    assert_eq!(status(&known).await, 503);
    assert!(app.token_ring().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_signing_keys_accept_nothing() {
    let it = Rotating::open(Engine::Sqlite).await;
    let token = it.token_of(&only_k1()).await;
    for bad in ["", "{}", "null", r#"{"active":"k1","k1":"short"}"#, r#"{"active":"k9"}"#] {
        it.vault.set("keys", bad).unwrap();
        it.vault.set("admin", bad).unwrap();
        let later = it.app.clock.now() + jiff::SignedDuration::from_mins(6);
        it.office.set_time(&later.to_string());
        let status = it.status_with(&token).await;
        assert!(status >= 500, "{bad}: {status}");
        assert_eq!(it.status_of_admin(ADMIN_SECRET).await, 401, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_admin_secret_is_valid_at_once_and_the_old_one_until_removed() {
    let it = Rotating::open(Engine::Sqlite).await;
    assert_eq!(it.status_of_admin(ADMIN_SECRET).await, 200);
    it.office.set_time("2026-03-09T12:00:11Z");
    let both = json!({ "current": NEW_ADMIN_SECRET, "previous": ADMIN_SECRET });
    it.vault.set("admin", &both.to_string()).unwrap();
    for secret in [NEW_ADMIN_SECRET, ADMIN_SECRET] {
        assert_eq!(it.status_of_admin(secret).await, 200);
    }
    it.vault.set("admin", &json!({ "current": NEW_ADMIN_SECRET }).to_string()).unwrap();
    it.office.set_time("2026-03-09T12:06:00Z");
    assert_eq!(it.status_of_admin(ADMIN_SECRET).await, 401);
    assert_eq!(it.status_of_admin(NEW_ADMIN_SECRET).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_edge_secret_is_valid_at_once_and_the_old_one_until_removed() {
    let it = Rotating::open(Engine::Sqlite).await;
    assert_eq!(it.address_with(EDGE_SECRET).await, VIEWER);
    it.office.set_time("2026-03-09T12:00:11Z");
    let both = json!({ "current": NEW_EDGE_SECRET, "previous": EDGE_SECRET });
    it.vault.set("edge", &both.to_string()).unwrap();
    for secret in [EDGE_SECRET, NEW_EDGE_SECRET, EDGE_SECRET] {
        assert_eq!(it.address_with(secret).await, VIEWER);
    }
    it.vault.set("edge", &json!({ "current": NEW_EDGE_SECRET }).to_string()).unwrap();
    it.office.set_time("2026-03-09T12:06:00Z");
    assert_eq!(it.address_with(EDGE_SECRET).await, EDGE);
    assert_eq!(it.address_with(NEW_EDGE_SECRET).await, VIEWER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invented_edge_secrets_cost_one_fetch_per_ten_seconds() {
    let it = Rotating::open(Engine::Sqlite).await;
    let [viewer, secret] = through_the_edge(VIEWER, "made up");
    for headers in [vec![], vec![viewer], vec![secret], vec![secret, (viewer.0, "no address")]] {
        let request = request_from(EDGE, "GET", "/v1/where", &headers, None);
        assert_eq!(seen(&it.app, request).await.0, EDGE);
    }
    assert_eq!(it.fetches.take(), 0);
    for (time, fetches) in [("12:00:00", 1), ("12:00:09", 0), ("12:00:10", 1), ("12:00:19", 0)] {
        it.office.set_time(&format!("2026-03-09T{time}Z"));
        for address in join_all((0..20).map(|_| it.address_with("made up"))).await {
            assert_eq!(address, EDGE);
        }
        assert_eq!(it.fetches.take(), fetches, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_edge_is_known_for_an_hour_while_secrets_manager_is_down() {
    let it = Rotating::open(Engine::Sqlite).await;
    assert_eq!(it.address_with(EDGE_SECRET).await, VIEWER);
    let Rotating { office, app, server, .. } = it;
    server.stop().await;
    for time in ["12:05:00", "12:59:59"] {
        office.set_time(&format!("2026-03-09T{time}Z"));
        assert_eq!(address_by(&app, EDGE_SECRET).await, VIEWER, "{time}");
        assert_eq!(address_by(&app, NEW_EDGE_SECRET).await, EDGE, "{time}");
    }
    office.set_time("2026-03-09T13:00:00Z");
    assert_eq!(address_by(&app, EDGE_SECRET).await, EDGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_edge_secret_trusts_nobody() {
    let it = Rotating::open(Engine::Sqlite).await;
    for bad in ["", "{}", r#"{"current":""}"#, r#"{"current":"short"}"#] {
        it.vault.set("edge", bad).unwrap();
        for secret in [EDGE_SECRET, "", "short"] {
            assert_eq!(it.address_with(secret).await, EDGE, "{bad}");
        }
        let later = it.app.clock.now() + jiff::SignedDuration::from_mins(6);
        it.office.set_time(&later.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_rejects_the_old_login_is_opened_with_the_new_one() {
    let it = Rotating::open(Engine::Postgres).await;
    let token = it.token_of(&only_k1()).await;
    let suffix = format!("{}_{}", std::process::id(), jiff::Timestamp::now().as_millisecond());
    let roles = [format!("rotation_a_{suffix}"), format!("rotation_b_{suffix}")];
    let db = &it.office.db;
    for role in &roles {
        let statements = format!(
            "create role {role} login password 'secret-of-{role}';
             grant usage on schema partner_api to {role};
             grant all on all tables in schema partner_api to {role};
             grant all on all sequences in schema partner_api to {role}"
        );
        run_sql(db, &statements).await;
    }
    let practicepass = PracticePass::try_from("DemoOffice").unwrap();
    let entry: Practice = it.app.control.practice(&practicepass).await.unwrap().unwrap();
    let entry = Practice { dsn_secret: SecretRef::from("dsn".to_owned()), ..entry };
    it.app.control.put_practice(&entry).await.unwrap();
    let name = database_name(&it.office).await;
    let dsn = |role: &str| dsn_with(&name, role);
    it.vault.set("dsn", &dsn(&roles[0])).unwrap();
    let read = async || it.office.send(&token, "GET", "/v1/DemoOffice/tags", None).await.status.as_u16();
    assert_eq!(read().await, 200);

    it.office.set_time("2026-03-09T12:00:11Z");
    it.vault.set("dsn", &dsn(&roles[1])).unwrap();
    run_sql(db, &format!("alter role {} nologin", roles[0])).await;
    // A process without connections, as after minutes without a call.
    it.app.practices.forget(&practicepass);
    assert_eq!(read().await, 200);

    it.office.set_time("2026-03-09T12:00:12Z");
    run_sql(db, &format!("alter role {} nologin", roles[1])).await;
    it.app.practices.forget(&practicepass);
    it.fetches.take();
    assert_eq!(read().await, 503, "nobody is admitted");
    assert_eq!(it.fetches.take(), 0, "it was asked a second ago");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_closed_after_a_restore_is_replaced_by_the_new_one() {
    let it = Rotating::open(Engine::Postgres).await;
    let token = it.token_of(&only_k1()).await;
    let restored = crate::office::Office::open(Engine::Postgres).await;
    let practicepass = PracticePass::try_from("DemoOffice").unwrap();
    let entry: Practice = it.app.control.practice(&practicepass).await.unwrap().unwrap();
    let entry = Practice { dsn_secret: SecretRef::from("dsn".to_owned()), ..entry };
    it.app.control.put_practice(&entry).await.unwrap();
    let damaged = database_name(&it.office).await;
    let dsn = |database: &str| {
        let server = std::env::var("TEST_POSTGRES_URL").unwrap();
        let (login, host) = server.rsplit_once('@').unwrap();
        let host = host.split(['/', '?']).next().unwrap();
        format!("{login}@{host}/{database}?sslmode=disable")
    };
    it.vault.set("dsn", &dsn(&damaged)).unwrap();
    let read = async || it.office.send(&token, "GET", "/v1/DemoOffice/tags", None).await.status.as_u16();
    assert_eq!(read().await, 200);
    // As in the runbook, from another database of the server.
    let close = format!(
        "alter database {damaged} with allow_connections false;
         select pg_terminate_backend(pid) from pg_stat_activity where datname = '{damaged}'"
    );
    run_sql(&restored.db, &close).await;
    it.vault.set("dsn", &dsn(&database_name(&restored).await)).unwrap();
    it.office.set_time("2026-03-09T12:00:11Z");
    // A call finds the closed connection, and the circuit is open for seconds.
    for _ in 0..300 {
        match read().await {
            200 => return,
            status => assert_eq!(status, 503),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the new database was not opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_database_file_is_unavailable_and_not_recreated() {
    let it = Rotating::open(Engine::Sqlite).await;
    let token = it.token_of(&only_k1()).await;
    let practicepass = PracticePass::try_from("DemoOffice").unwrap();
    let entry: Practice = it.app.control.practice(&practicepass).await.unwrap().unwrap();
    let entry = Practice { dsn_secret: SecretRef::from("dsn".to_owned()), ..entry };
    it.app.control.put_practice(&entry).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gone.sqlite");
    it.vault.set("dsn", &format!("sqlite://{}", file.display())).unwrap();
    let reply = it.office.send(&token, "GET", "/v1/DemoOffice/tags", None).await;
    reply.expect(503);
    assert_ne!(reply.header("retry-after"), "");
    assert!(!file.exists());
}

async fn database_name(office: &crate::office::Office) -> String {
    let shared::sql::Conn::Postgres(connection) = &mut office.db.connection().await.unwrap() else {
        panic!("this is a test of PostgreSQL")
    };
    sqlx::query_scalar("select current_database()::text").fetch_one(&mut **connection).await.unwrap()
}

/// Returns the test server's address, with another database and login.
fn dsn_with(database: &str, role: &str) -> String {
    let server = std::env::var("TEST_POSTGRES_URL").unwrap();
    let (_, host) = server.rsplit_once('@').unwrap();
    let (host, rest) = host.split_once('/').unwrap_or((host, ""));
    let options = rest.split_once('?').map_or("sslmode=disable", |(_, options)| options);
    format!("postgres://{role}:secret-of-{role}@{host}/{database}?{options}")
}
