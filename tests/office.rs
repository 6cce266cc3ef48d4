//! Two practices for tests: separate databases, a fixed clock, and the real routes.

pub(crate) mod aws_proxy;
mod calls;
mod control;
mod copies;
mod database;
mod fixture;
pub(crate) mod large;
mod logs;
mod meter;
pub(crate) mod plan;
pub(crate) mod proxy;
mod queue;
mod receiver;
mod rejecting_queue;
mod request;
mod resolver;
mod routes;
mod server;
pub(crate) mod statements;
mod store_behind;
pub(crate) mod timeouts;
mod waiting;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::Router;
use jiff::Timestamp;
use serde_json::json;
use shared::{
    api::edge,
    app::{App, Background, BruteForce, CallLog, Clock, KeyCache, Parts, Random, RateLimits},
    auth::secret_ref::SecretRef,
    catalog::{CatalogDb, Catalogs},
    config::Config,
    control::{Secrets, Store, TableNames},
    domain::{PracticePass, Scope},
    egress::{self, Guard, Reach},
    tenant::{Practices, TenantDb},
};

pub(crate) use calls::records;
use control::StoreCalls;
pub(crate) use control::{Units, external, template};
use copies::Size;
pub(crate) use database::{
    Engine, attach, execute as run_sql, integer, is_attached, mariadb, new_database, pooled,
    try_execute as try_sql,
};
pub(crate) use logs::Logs;
pub(crate) use meter::Meter;
pub(crate) use queue::Message;
pub(crate) use receiver::{Answer, Gate, Received as ReceivedCall, Receiver};
pub(crate) use request::{Reply, request_from};
use resolver::Names;
pub(crate) use routes::all_routes;
use routes::router;
pub(crate) use store_behind::{store_behind, store_that_loses_a_response, store_that_throttles};
pub(crate) use waiting::{ends, eventually};

/// Monday, 8 o'clock in New York, the day after clocks went forward.
pub(crate) const NOW: &str = "2026-03-09T12:00:00Z";

/// Accepted as `X-Admin-Secret`.
pub(crate) const ADMIN_SECRET: &str = "admin-secret-of-the-tests-0123456789";
/// Also accepted, as during a rotation.
pub(crate) const OLD_ADMIN_SECRET: &str = "old-admin-secret-of-the-tests-01234";
/// The secret that the portal's distribution sends.
pub(crate) const EDGE_SECRET: &str = "edge-secret-of-the-tests-01234567890";
/// The previous secret, which it may still send during a rotation.
pub(crate) const OLD_EDGE_SECRET: &str = "old-edge-secret-of-the-tests-0123456";
/// The number of offices in this process so far.
static OFFICES: AtomicUsize = AtomicUsize::new(0);

/// The key `k1`, which signs tokens.
pub(crate) const TOKEN_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// `DemoOffice` (`America/New_York`) and `OtherOffice` (`Europe/Berlin`), each with a partner and a
/// key with all scopes.
pub(crate) struct Office {
    pub(crate) app: App,
    router: Router,
    clock: Arc<Mutex<Timestamp>>,
    keys: Vec<(&'static str, String)>,
    pub(crate) db: TenantDb,
    pub(crate) other_db: TenantDb,
    pub(crate) catalog: CatalogDb,
    /// The consumer's side of the webhook event queue.
    pub(crate) queue: queue::Received,
    /// Direct access to the control plane's tables.
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    /// The requests that it received.
    pub(crate) store_calls: StoreCalls,
    /// Its endpoint.
    pub(crate) store_endpoint: String,
    pub(crate) tables: Vec<String>,
    /// The file in which the stand-in for DynamoDB stores its items, for tests with too many to
    /// write.
    pub(crate) store_file: std::path::PathBuf,
    /// The queue's messages, for tests with too many to receive.
    pub(crate) queue_file: std::path::PathBuf,
    stores: Stores,
    _files: tempfile::TempDir,
}

/// The parts of an office's app.
struct Stores {
    config: Config,
    clock: Clock,
    dynamodb: aws_sdk_dynamodb::Client,
    queue: queue::Address,
    secrets: Vec<(&'static str, String)>,
}

impl Stores {
    fn parts(&self) -> Parts {
        let config = self.config.clone();
        Parts {
            clock: self.clock.clone(),
            random: Random::system(),
            control: Store::with_client(self.dynamodb.clone(), config.tables.clone()),
            config,
            queue: self.queue.queue(),
            hooks: hooks(timeouts::ENDPOINT),
            secrets: Secrets::fixed(self.secrets.iter().map(|(name, value)| (*name, value.as_str()))),
            practices: Practices::for_background_work(8).with_timeouts(timeouts::DATABASE),
            catalogs: Catalogs::for_background_work(8).with_timeouts(timeouts::DATABASE),
            keys: KeyCache::default(),
            rates: RateLimits::default(),
            brute_force: BruteForce::default(),
            calls: CallLog::default(),
            background: Background::default(),
        }
    }
}

/// Returns the client for partners' endpoints.
pub(crate) fn hooks(timeouts: egress::Timeouts) -> egress::Client {
    egress::Client::new(Guard::new(Arc::new(Names), Reach::InternetAndLoopback)).with_timeouts(timeouts)
}

impl Office {
    pub(crate) async fn open(engine: Engine) -> Self {
        // Boxed because it is large, and every test would contain it.
        Box::pin(Self::start(engine, Size::Small, false)).await
    }

    /// Opens an office with many rows in every table that grows, except in `OtherOffice`.
    pub(crate) async fn open_large(engine: Engine) -> Self {
        Box::pin(Self::start(engine, Size::Large, false)).await
    }

    /// Opens an office with a queue that rejects entries of batches.
    pub(crate) async fn open_with_rejecting_queue(engine: Engine) -> Self {
        Box::pin(Self::start(engine, Size::Small, true)).await
    }

    /// Returns the number of entries that the queue has rejected.
    pub(crate) fn rejected_entries(&self) -> usize {
        self.queue.rejected.load(Ordering::Relaxed)
    }

    async fn start(engine: Engine, size: Size, rejecting: bool) -> Self {
        statements::listen();
        let files = tempfile::tempdir().unwrap();
        let number = OFFICES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let table = |id: &str| Some(control::table_name(id, &name));
        let names = TableNames {
            control: table("ControlTable"),
            deliveries: table("DeliveriesTable"),
            activity: table("ActivityTable"),
            ephemeral: table("EphemeralTable"),
            delivery_shards: None,
        };
        let clock = Arc::new(Mutex::new(NOW.parse::<Timestamp>().unwrap()));
        let reading = clock.clone();
        let (dynamodb, store_calls, store_endpoint) =
            Box::pin(control::start(&files.path().join("dynamodb.sqlite"), &name)).await;
        let tables = template().tables.iter().map(|it| control::table_name(&it.id, &name)).collect();
        let db = copies::practice(engine, size, files.path(), "DemoOffice", "America/New_York").await;
        let other_db =
            copies::practice(engine, Size::Small, files.path(), "OtherOffice", "Europe/Berlin").await;
        let (catalog, catalog_dsn) = copies::catalog(engine, size, files.path()).await;
        let (events, queue) =
            Box::pin(queue::start(&files.path().join("sqs.sqlite"), &name, rejecting)).await;
        let config = Config {
            database_timeout_factor: 1,
            tables: names.clone(),
            events_queue_url: None,
            slow_events_queue_url: None,
            dead_letter_queue_url: None,
            token_keys: Some(SecretRef::from("env:OFFICE_TOKEN_KEYS".to_owned())),
            token_issuer: "tests".into(),
            admin_secrets: Some(SecretRef::from("env:OFFICE_ADMIN_SECRETS".to_owned())),
            edge_secret: Some(SecretRef::from("env:OFFICE_EDGE_SECRET".to_owned())),
            catalog_dsn: Some(SecretRef::from("env:CATALOG_DSN".to_owned())),
            portal_origin: None,
            api_domain_name: None,
            portal_allow_loopback: false,
            webhook_allow_loopback: true,
            poll_interval: std::time::Duration::from_millis(50),
            poll_lease: shared::config::POLL_LEASE,
            event_log_days: shared::config::EVENT_LOG_DAYS,
            webhook_retries: shared::domain::delivery::SCHEDULE.to_vec(),
            webhook_lane: shared::domain::Lane::Fast,
            timeouts: timeouts::of_work(),
        };
        let secrets = vec![
            ("OFFICE_TOKEN_KEYS", r#"{"active":"k1","k1":"0123456789abcdef0123456789abcdef"}"#.to_owned()),
            (
                "OFFICE_ADMIN_SECRETS",
                json!({ "current": ADMIN_SECRET, "previous": OLD_ADMIN_SECRET }).to_string(),
            ),
            (
                "OFFICE_EDGE_SECRET",
                json!({ "current": EDGE_SECRET, "previous": OLD_EDGE_SECRET }).to_string(),
            ),
            ("DSN_DEMOOFFICE", db.dsn),
            ("DSN_OTHEROFFICE", other_db.dsn),
            ("CATALOG_DSN", catalog_dsn),
        ];
        let stores = Stores {
            config,
            clock: Clock::from_fn(move || *reading.lock().unwrap()),
            dynamodb: dynamodb.clone(),
            queue: events,
            secrets,
        };
        let app = App::new(stores.parts());
        let router = router(app.clone());
        let keys = fixture::register(&app).await;
        Self {
            app,
            router,
            clock,
            keys,
            db: db.db,
            other_db: other_db.db,
            catalog,
            queue,
            dynamodb,
            store_calls,
            store_endpoint,
            tables,
            queue_file: files.path().join("sqs.sqlite"),
            store_file: files.path().join("dynamodb.sqlite"),
            stores,
            _files: files,
        }
    }

    /// Returns the app of another process on the same stores, with the parts that `change` changed.
    pub(crate) fn another_app(&self, change: impl FnOnce(&mut Parts)) -> App {
        let mut parts = self.stores.parts();
        change(&mut parts);
        App::new(parts)
    }

    /// Makes these routes serve all further calls, behind the real edge.
    pub(crate) fn answer_at(&mut self, routes: Router<App>) {
        self.router = edge(routes, self.app.clone());
    }

    /// Routes all further database access through a meter; `SQLite`, which runs the same
    /// statements, has none.
    pub(crate) async fn meter(&mut self) -> Meter {
        let meter = Meter::default();
        let mut secrets = Vec::new();
        for (name, value) in &self.stores.secrets {
            let value = if value.starts_with("postgres") { meter.before(value).await } else { value.clone() };
            secrets.push((*name, value));
        }
        let app = self.another_app(|parts| {
            parts.secrets = Secrets::fixed(secrets.iter().map(|(name, value)| (*name, value.as_str())));
        });
        self.answer_with(app.clone());
        self.app = app;
        meter
    }

    /// Routes all further database access through a pooler that assigns a connection to each
    /// transaction and has two per database.
    pub(crate) fn pool(&mut self) {
        let secrets: Vec<_> =
            self.stores.secrets.iter().map(|(name, value)| (*name, database::pooled(value))).collect();
        let app = self.another_app(|parts| {
            parts.secrets = Secrets::fixed(secrets.iter().map(|(name, value)| (*name, value.as_str())));
        });
        self.answer_with(app.clone());
        self.app = app;
    }

    /// Returns the connection string of `DemoOffice`'s database.
    pub(crate) fn dsn(&self) -> &str {
        let secret = self.stores.secrets.iter().find(|(name, _)| *name == "DSN_DEMOOFFICE");
        &secret.unwrap().1
    }

    /// Makes this app serve all further calls.
    pub(crate) fn answer_with(&mut self, app: App) {
        self.router = router(app);
    }

    /// Sets the clock.
    pub(crate) fn set_time(&self, now: &str) {
        *self.clock.lock().unwrap() = now.parse().unwrap();
    }

    /// Marks the practice's database as migrated in the registry.
    pub(crate) async fn migrated(&self, practicepass: &PracticePass) {
        let (schema, tzdata) = (shared::tenant::migrate::newest(), shared::domain::zones::version());
        self.app.control.note_schema_version(practicepass, schema, tzdata).await.unwrap();
    }

    /// Returns the API key with this name: `all`, `prospects` (only that scope), `other` (all
    /// scopes of `OtherOffice`).
    pub(crate) fn api_key(&self, name: &str) -> &str {
        &self.keys.iter().find(|(it, _)| *it == name).unwrap().1
    }

    /// Returns a token of that key.
    pub(crate) async fn token(&self, name: &str) -> String {
        let id = shared::auth::api_key::ApiKey::parse(self.api_key(name)).unwrap().id;
        let record = self.app.control.api_key(&id).await.unwrap().unwrap();
        self.app.token_ring().await.unwrap().issue(&record, self.app.clock.now()).unwrap()
    }

    /// Creates a key with these scopes; returns a token of it.
    pub(crate) async fn token_with(&self, scopes: &[Scope]) -> String {
        let record = fixture::key_with(&self.app, scopes).await;
        self.app.token_ring().await.unwrap().issue(&record, self.app.clock.now()).unwrap()
    }

    /// Registers a partner with this id, and creates a key with these scopes for it.
    pub(crate) async fn give_access(&self, partner: &str, practicepass: &PracticePass, scopes: &[Scope]) {
        fixture::partner_with_key(&self.app, partner, practicepass, scopes).await;
    }

    /// Runs SQL that both engines understand on `DemoOffice`.
    pub(crate) async fn sql(&self, statements: &str) {
        self.try_sql(statements).await.unwrap();
    }

    /// Runs SQL that may be rejected.
    pub(crate) async fn try_sql(&self, statements: &str) -> shared::sql::Result<()> {
        database::try_execute(&self.db, statements).await
    }

    /// Returns one integer, e.g. a count.
    pub(crate) async fn integer(&self, query: &str) -> i64 {
        database::integer(&self.db, query).await
    }

    pub(crate) async fn is_postgres(&self) -> bool {
        matches!(self.db.connection().await.unwrap(), shared::sql::Conn::Postgres(_))
    }

    /// Returns one integer from the catalog, like [`Self::integer`].
    pub(crate) async fn catalog_integer(&self, query: &str) -> i64 {
        database::integer(&self.catalog, query).await
    }
}

/// Defines a test for SQLite and for PostgreSQL.
macro_rules! on_both_databases {
    ($name:ident) => {
        mod $name {
            use $crate::office::{Engine, Office};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                Box::pin(super::$name(Office::open(Engine::Sqlite).await)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                Box::pin(super::$name(Office::open(Engine::Postgres).await)).await;
            }
        }
    };
}
pub(crate) use on_both_databases;
