//! The SQL statements that a call runs, on either engine, and how much each one reads.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use serde_json::Value;
use shared::sql::{Conn, Database};
use tracing::{
    Event, Instrument, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer, filter::dynamic_filter_fn, layer::Context, prelude::*, registry::LookupSpan,
};

/// A statement that was run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    pub(crate) text: String,
    /// How many rows it returned.
    pub(crate) rows: u64,
    /// How many instructions `SQLite` executed for it, with those of its triggers; 0 unless
    /// [`count_steps`] was called.
    pub(crate) steps: u64,
}

/// What some work ran.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) statements: Vec<Statement>,
    /// The executed plans that `PostgreSQL` reported, as `auto_explain` formats them. Those of
    /// triggers and functions are included.
    pub(crate) plans: Vec<Value>,
}

/// The span of observed work. `SQLite`'s threads enter the span of the task that they work for.
const SPAN: &str = "observed";
const STATEMENTS: &str = "sqlx::query";
const NOTICES: &str = "sqlx::postgres::notice";

/// What was observed so far, by span.
static OBSERVED: Mutex<Option<HashMap<u64, Observed>>> = Mutex::new(None);

/// `SQLite` executes this many instructions between two reports.
const STEPS_AT_ONCE: i32 = 10;

thread_local! {
    /// The instructions since the last statement of this thread, which serves one connection.
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

fn observed() -> MutexGuard<'static, Option<HashMap<u64, Observed>>> {
    OBSERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records what the work of observed spans runs.
struct Noting;

/// The fields of an event.
#[derive(Default)]
struct Fields {
    summary: String,
    whole: String,
    message: String,
    rows: u64,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            "message" => value.clone_into(&mut self.message),
            _ => (),
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let is_statement = event.metadata().target() == STATEMENTS;
        let steps = if is_statement { STEPS.take() } else { 0 };
        let mut fields = Fields::default();
        event.record(&mut fields);
        // A short statement is its own summary.
        let text = if fields.whole.is_empty() { fields.summary } else { fields.whole }.trim().to_owned();
        // With these, a pool checks whether an old connection is alive, and sets the timeouts of a
        // new one.
        if text.contains("SQLx ping") || text.contains("lock_timeout") {
            return;
        }
        let mut observed = observed();
        let Some(all) = observed.as_mut() else { return };
        for span in context.event_scope(event).into_iter().flatten() {
            let Some(seen) = all.get_mut(&span.id().into_u64()) else { continue };
            if is_statement {
                seen.statements.push(Statement { text: text.clone(), rows: fields.rows, steps });
            } else if let Some(plan) = fields.message.find('{').filter(|_| fields.message.contains("plan:")) {
                seen.plans.push(serde_json::from_str(&fields.message[plan..]).unwrap());
            }
        }
    }
}

/// Subscribes for the whole process, before the first line that a test may record. With no
/// subscriber or only one, `tracing` asks only the thread that first reaches a line of code whether
/// anybody wants it, and caches a negative answer for all threads: another test's thread would
/// disable that line. This subscriber never answers negatively in advance.
pub(super) fn listen() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let wanted = dynamic_filter_fn(|it, _| [STATEMENTS, NOTICES, SPAN].contains(&it.target()));
        let noting = Noting.with_filter(wanted.with_max_level_hint(LevelFilter::DEBUG));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(noting)).unwrap();
    });
}

/// Returns the result of `work` and what it ran, in order. Work that it spawns is left out.
pub(crate) async fn observe<T>(work: impl Future<Output = T>) -> (T, Observed) {
    listen();
    let span = tracing::debug_span!(target: "observed", "observed");
    let id = span.id().unwrap().into_u64();
    observed().get_or_insert_default().insert(id, Observed::default());
    let result = work.instrument(span).await;
    let seen = observed().as_mut().and_then(|all| all.remove(&id));
    (result, seen.unwrap_or_default())
}

/// Returns the result of `work` and the statements that it ran, in order.
pub(crate) async fn noted<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    let (result, seen) = observe(work).await;
    (result, seen.statements.into_iter().map(|it| it.text).collect())
}

/// Counts the instructions of all further statements on this `SQLite` database, whose pool has this
/// many connections.
pub(crate) async fn count_steps(db: &Database, connections: usize) {
    let mut all = Vec::new();
    for _ in 0..connections {
        let mut conn = db.connection().await.unwrap();
        if let Conn::Sqlite(connection) = &mut conn {
            let mut handle = connection.lock_handle().await.unwrap();
            handle.set_progress_handler(STEPS_AT_ONCE, || {
                STEPS.set(STEPS.get() + u64::from(STEPS_AT_ONCE.unsigned_abs()));
                true
            });
        }
        // Kept, so that the next one is another connection.
        all.push(conn);
    }
}
