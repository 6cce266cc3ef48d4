//! The SQL statements that a call runs on `PostgreSQL`; those of `SQLite` run on their own threads
//! and are not recorded.

use std::sync::{Arc, Mutex, Once};

use tracing::{Event, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, layer::Context, prelude::*};

type Statements = Arc<Mutex<Vec<String>>>;

tokio::task_local! {
    /// Where the statements of the current task are recorded.
    static STATEMENTS: Statements;
}

/// Records the SQL statements of tasks that request it.
struct Noting;

impl<S: Subscriber> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (mut summary, mut whole) = (String::new(), String::new());
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| match field.name() {
            "summary" => summary = format!("{value:?}"),
            "db.statement" => whole = format!("{value:?}"),
            _ => (),
        });
        // A short statement is its own summary.
        let statement = if whole == "\"\"" { summary } else { whole };
        // With these, a pool checks whether an old connection is alive, and sets the timeouts of a
        // new one.
        if !statement.contains("SQLx ping") && !statement.contains("lock_timeout") {
            let _ = STATEMENTS.try_with(|seen| seen.lock().unwrap().push(statement));
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
        let wanted = dynamic_filter_fn(|it, _| it.target() == "sqlx::query");
        let noting = Noting.with_filter(wanted.with_max_level_hint(LevelFilter::DEBUG));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(noting)).unwrap();
    });
}

/// Returns the result of `work` and the statements that it ran, in order.
pub(crate) async fn noted<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    listen();
    let seen = Statements::default();
    let result = STATEMENTS.scope(seen.clone(), work).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (result, seen)
}
