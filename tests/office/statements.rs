//! The SQL statements that a call runs on `PostgreSQL`; those of `SQLite` run on threads of their own and are not seen.

use std::sync::{Arc, Mutex, Once};

use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{Layer, filter::filter_fn, layer::Context, prelude::*};

type Statements = Arc<Mutex<Vec<String>>>;

tokio::task_local! {
    /// Where the statements of the task under way are written.
    static STATEMENTS: Statements;
}

/// Notes the SQL statements of tasks that ask for it.
///
/// One subscriber for the whole process: whether an event is wanted is remembered by `tracing` for all threads, so one
/// that is there for a moment only may be passed over.
struct Noting;

impl<S: Subscriber> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (mut summary, mut whole) = (String::new(), String::new());
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| match field.name() {
            "summary" => summary = format!("{value:?}"),
            "db.statement" => whole = format!("{value:?}"),
            _ => (),
        });
        // A short one is its own summary.
        let statement = if whole == "\"\"" { summary } else { whole };
        // By these a pool asks an old connection whether it lives, and tells a new one its timeouts.
        if !statement.contains("SQLx ping") && !statement.contains("lock_timeout") {
            let _ = STATEMENTS.try_with(|seen| seen.lock().unwrap().push(statement));
        }
    }
}

/// What comes of `work`, and the statements that it ran, in their order.
pub(crate) async fn noted<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let noting = Noting.with_filter(filter_fn(|it| it.target() == "sqlx::query"));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(noting)).unwrap();
    });
    let seen = Statements::default();
    let result = STATEMENTS.scope(seen.clone(), work).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (result, seen)
}
