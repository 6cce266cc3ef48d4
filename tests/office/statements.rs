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
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            let text = format!("{value:?}");
            // Not those by which a pool tells a new connection its timeouts, and without text asks an old one whether it lives.
            let of_the_call = text != "\"\"" && !text.starts_with("\"set ");
            if field.name() == "db.statement" && of_the_call {
                let _ = STATEMENTS.try_with(|seen| seen.lock().unwrap().push(text));
            }
        });
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
