//! Opens a single connection to a server, outside of any pool.

use std::{io, time::Duration};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::{Error, Result, step::step, timed_out};

/// Timeout for connecting. A refused connection fails at once.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects to a server.
///
/// # Errors
/// [`Error::Unavailable`]: at once if the server refuses the connection, otherwise after ten
/// seconds.
pub(super) async fn reach(options: &PgConnectOptions) -> Result<PgConnection> {
    step(format!("connecting to {}:{}", options.get_host(), options.get_port()));
    let connected = timeout(CONNECT, PgConnection::connect_with(options)).await;
    connected.unwrap_or_else(|_| Err(timed_out())).map_err(|error| {
        let (host, port) = (options.get_host(), options.get_port());
        Error::from(match error {
            sqlx::Error::Io(error) => {
                sqlx::Error::Io(io::Error::new(error.kind(), format!("{host}:{port}: {error}")))
            }
            error => error,
        })
    })
}

/// Closes a connection.
pub(super) async fn close(connection: PgConnection) {
    // It does not matter whether the server receives the goodbye.
    let _ = timeout(CONNECT, connection.close()).await;
}
