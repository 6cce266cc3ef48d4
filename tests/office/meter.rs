//! The size of `PostgreSQL`'s result for each statement: rows and bytes, counted between the server
//! and its client.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};

use super::proxy;

/// The maximum over all statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    pub(crate) statements: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Most>>);

impl Meter {
    /// Returns the maximum since the last call.
    pub(crate) fn take(&self) -> Most {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Returns the DSN of the same database through the meter.
    pub(crate) async fn before(&self, dsn: &str) -> String {
        let most = self.0.clone();
        proxy::before(dsn, move |server, client| pass(server, client, most.clone())).await
    }
}

async fn pass(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, most: Arc<Mutex<Most>>) {
    let (mut rows, mut bytes) = (0, 0);
    // Every message is a letter, its length (which includes itself) and its content.
    let mut head = [0; 5];
    while server.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut content = vec![0; length - 4];
        if server.read_exact(&mut content).await.is_err() {
            return;
        }
        bytes += 1 + length;
        rows += usize::from(head[0] == b'D');
        // The end of a statement, with any result.
        if [b'C', b'E'].contains(&head[0]) {
            let mut most = most.lock().unwrap();
            most.rows = most.rows.max(rows);
            most.bytes = most.bytes.max(bytes);
            most.statements += 1;
            (rows, bytes) = (0, 0);
        }
        if client.write_all(&[&head[..], &content].concat()).await.is_err() {
            return;
        }
    }
}
