//! The file of messages: one SQLite connection on its own thread.
//!
//! Concurrent work shares a commit, and callers get their answers after it, so that `kill -9` loses
//! no acknowledged message.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::Fault;
use crate::error::{Error, Result};

/// Maximum units of work in one transaction.
const BATCH: usize = 256;

const SCHEMA: &str = "
    create table if not exists messages (
        id integer primary key autoincrement,
        queue text not null,
        message_id text not null,
        body text not null,
        body_md5 text not null,
        attributes text not null,
        attributes_md5 text,
        group_id text,
        dead_letter_source text,
        sent_at integer not null,
        visible_at integer not null,
        receive_count integer not null default 0,
        first_received_at integer,
        receipt text
    );
    create index if not exists messages_by_queue on messages (queue, visible_at, id);
    create index if not exists messages_by_group on messages (queue, coalesce(group_id, ''), visible_at, id);
";

/// Does its work in the transaction and returns a callback for its commit or failure.
type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Finish> + Send>;
type Finish = Box<dyn FnOnce() + Send>;

pub(super) struct Database {
    work: mpsc::Sender<Work>,
}

impl Database {
    pub(super) fn open(file: &Path) -> Result<Self> {
        let failed = |error| Error::store(&format!("the queues' file {}", file.display()), error);
        let connection = Connection::open(file).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        // In WAL mode with this setting, a commit reaches the operating system; only a power cut
        // could undo it.
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
        connection.execute_batch(SCHEMA).map_err(failed)?;
        let (work, received) = mpsc::channel();
        thread::Builder::new()
            .name("sqs".to_owned())
            .spawn(move || serve(connection, &received))
            .map_err(Error::io("a thread"))?;
        Ok(Self { work })
    }

    /// Runs `work` in a transaction and returns after the commit.
    pub(super) async fn run<T, F>(&self, work: F) -> std::result::Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let value = work(connection)?;
            // The caller may have stopped waiting.
            Ok(Box::new(move || drop(reply.send(value))))
        });
        let lost = || Fault::Internal("the queues' file cannot be written".to_owned());
        self.work.send(work).map_err(|_| lost())?;
        // A failed transaction drops the sender.
        result.await.map_err(|_| lost())
    }
}

fn serve(mut connection: Connection, received: &mpsc::Receiver<Work>) {
    while let Ok(first) = received.recv() {
        let mut batch = vec![first];
        batch.extend(received.try_iter().take(BATCH - 1));
        match commit(&mut connection, batch) {
            Ok(finished) => finished.into_iter().for_each(|finish| finish()),
            Err(error) => eprintln!("sqs: {error}"),
        }
    }
}

fn commit(connection: &mut Connection, batch: Vec<Work>) -> rusqlite::Result<Vec<Finish>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let finished = batch.into_iter().map(|work| work(&transaction)).collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(finished)
}
