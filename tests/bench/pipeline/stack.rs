//! A practice, its queue and the control plane, and the pipeline's functions in this process.

use std::{sync::Arc, time::Duration};

use log_poller::Poll;
use shared::{
    app::{App, Background, BruteForce, CallLog, Clock, KeyCache, Parts, Random, RateLimits},
    auth::webhook_signature::SigningSecret,
    catalog::Catalogs,
    config::Config,
    control::{
        Secrets, Store, TableNames,
        subscriptions::{Breaker, LastOutcomes, Subscription, SubscriptionStatus},
    },
    domain::{
        EventScope, Scope,
        ids::{LogId, PartnerId, SubscriptionId},
    },
    egress::{self, Guard, HookUrl, Reach, SystemResolver},
    function::sqs::{SqsEvent, SqsMessage},
    tenant::{Practices, TenantDb},
};
use webhook_fanout::Lane;

use crate::office::{
    StoreCalls,
    database::{self, Engine},
    fixture,
    queue::{self, Message, Received},
    start_control,
};

pub(crate) struct BenchStack {
    app: App,
    db: TenantDb,
    queue: Received,
    calls: StoreCalls,
    _files: tempfile::TempDir,
}

impl BenchStack {
    pub(crate) async fn open() -> Self {
        let files = tempfile::tempdir().unwrap();
        let table = |id: &str| Some(id.to_owned());
        let names = TableNames {
            control: table("ControlTable"),
            deliveries: table("DeliveriesTable"),
            activity: table("ActivityTable"),
            ephemeral: table("EphemeralTable"),
            delivery_shards: None,
        };
        let (dynamodb, calls, _) =
            Box::pin(start_control(&files.path().join("dynamodb.sqlite"), "bench")).await;
        let created = database::create(Engine::Sqlite, files.path(), "DemoOffice", "America/New_York").await;
        let (events, queue) = queue::start(&files.path().join("sqs.sqlite"), "bench", false).await;
        let app = App::new(Parts {
            config: Config {
                poll_interval: Duration::from_millis(100),
                poll_lease: shared::config::POLL_LEASE,
                webhook_retries: shared::domain::delivery::SCHEDULE.to_vec(),
                webhook_allow_loopback: true,
                ..Config::default()
            },
            clock: Clock::system(),
            random: Random::system(),
            control: Store::with_client(dynamodb, names),
            queue: events.queue(),
            hooks: egress::Client::new(Guard::new(Arc::new(SystemResolver), Reach::InternetAndLoopback)),
            secrets: Secrets::fixed([("DSN_DEMOOFFICE", created.dsn.as_str())]),
            practices: Practices::for_background_work(8),
            catalogs: Catalogs::for_background_work(1),
            keys: KeyCache::default(),
            rates: RateLimits::default(),
            brute_force: BruteForce::default(),
            calls: CallLog::default(),
            background: Background::default(),
        });
        fixture::register(&app).await;
        Self { app, db: created.db, queue, calls, _files: files }
    }

    /// Creates a partner with a key and a subscription to claims.
    pub(crate) async fn subscribe(&self, number: i64, url: &str) {
        let (partner, practicepass) = (format!("prt_{number}"), self.db.practicepass());
        fixture::partner_with_key(&self.app, &partner, practicepass, Scope::ALL).await;
        let now = self.app.clock.now();
        let subscription = Subscription {
            id: SubscriptionId(number),
            generation: number,
            partner_id: PartnerId(partner),
            practicepass: practicepass.clone(),
            hook_url: HookUrl::parse(url, Reach::InternetAndLoopback).unwrap(),
            scopes: vec![EventScope::Claims],
            status: SubscriptionStatus::Active,
            disabled_reason: None,
            disabled_at: None,
            paused_at: None,
            secret: SigningSecret::from_random(&[7; 32]),
            old_secrets: Vec::new(),
            start_after_log_id: LogId(0),
            in_flight: Vec::new(),
            start_epoch: 0,
            started_at: now,
            failing_since: None,
            breaker: Breaker::default(),
            last: LastOutcomes::default(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        self.app.control.save_subscription(&subscription, None).await.unwrap();
    }

    pub(crate) async fn write(&self, rows: usize, table: &str) {
        self.fill(rows, &format!("'{table}'")).await;
    }

    /// Writes rows, of which one in a hundred is a claim.
    pub(crate) async fn write_mixed(&self, rows: usize) {
        self.fill(rows, "case when n % 100 = 0 then 'claims' else 'sessions' end").await;
    }

    async fn fill(&self, rows: usize, table: &str) {
        let text = format!(
            "insert into log (table_name, action, record_id, logged_at)
             with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {rows})
             select {table}, 'insert', n, '2026-03-09T12:00:00Z' from numbers"
        );
        database::execute(&self.db, &text).await;
    }

    /// Runs the poller once.
    pub(crate) async fn poll(&self) {
        let deadline = self.app.clock.now() + Duration::from_mins(1);
        log_poller::run(&self.app, Poll { shard: 0, of: 1, once: true }, deadline, None).await.unwrap();
    }

    /// Whether rows of the log are still unread.
    pub(crate) async fn left(&self, rows: usize) -> bool {
        let states = self.app.control.dispatch_states(None).await.unwrap();
        let last = states.first().map_or(0, |state| state.progress.top.0);
        last < i64::try_from(rows).unwrap()
    }

    /// Returns the number of store calls since the last call of this function.
    pub(crate) fn calls(&self) -> usize {
        self.calls.take().len()
    }

    /// Receives up to `messages` messages, ten per event, as Lambda passes them.
    pub(crate) async fn events(&self, messages: usize) -> Vec<SqsEvent> {
        let mut events = Vec::new();
        while events.len() * 10 < messages {
            let received = self.queue.receive_ten().await;
            if received.is_empty() {
                break;
            }
            events.push(event_of(&received));
        }
        events
    }

    /// Delivers one batch after the other, as a single process does.
    pub(crate) async fn deliver(&self, events: Vec<SqsEvent>) {
        for event in events {
            let answer = webhook_fanout::deliver(&self.app, Lane::Fast, event).await;
            assert!(answer.batch_item_failures.is_empty(), "{:?}", answer.batch_item_failures);
        }
    }

    /// Runs the poller, the fast lane and the slow lane.
    pub(crate) async fn run_until(&self, consumers: usize, done: impl Fn() -> bool) {
        let polling = async {
            loop {
                self.poll().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let fast = (0..consumers).map(|_| self.consume(Lane::Fast));
        let slow = (0..consumers).map(|_| self.consume(Lane::Slow));
        let watching = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = watching => (),
            () = polling => (),
            _ = futures::future::join_all(fast) => (),
            _ = futures::future::join_all(slow) => (),
        }
    }

    async fn consume(&self, lane: Lane) {
        loop {
            let messages = match lane {
                Lane::Fast => self.queue.receive_ten().await,
                Lane::Slow => self.queue.receive_ten_slow().await,
            };
            if messages.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
            let answer = webhook_fanout::deliver(&self.app, lane, event_of(&messages)).await;
            assert!(answer.batch_item_failures.is_empty(), "{:?}", answer.batch_item_failures);
            self.queue.delete_batch(lane == Lane::Slow, &messages).await;
        }
    }
}

fn event_of(messages: &[Message]) -> SqsEvent {
    let record = |(index, message): (usize, &Message)| SqsMessage {
        message_id: index.to_string(),
        body: message.body.clone(),
    };
    SqsEvent { records: messages.iter().enumerate().map(record).collect() }
}
