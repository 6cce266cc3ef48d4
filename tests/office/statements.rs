//! The SQL statements that a call runs on `PostgreSQL`; those of `SQLite` run on threads of their
//! own and are not seen.

use std::sync::{Arc, Mutex, Once};

use tracing::{Event, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, layer::Context, prelude::*};

type Statements = Arc<Mutex<Vec<String>>>;

tokio::task_local! {
    /// Where the statements of the task under way are written.
    static STATEMENTS: Statements;
}

/// Notes the SQL statements of tasks that ask for it.
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
        // By these a pool asks an old connection whether it lives, and tells a new one its
        // timeouts.
        if !statement.contains("SQLx ping") && !statement.contains("lock_timeout") {
            let _ = STATEMENTS.try_with(|seen| seen.lock().unwrap().push(statement));
        }
    }
}

/// Subscribes for the whole process, before anything is done that a test may listen to. While no
/// subscriber or one only is there, `tracing` asks just the thread that first comes to a line of
/// code whether anybody wants it, and remembers a no for all threads: another test's thread would
/// silence that line. This one never says no in advance.
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
