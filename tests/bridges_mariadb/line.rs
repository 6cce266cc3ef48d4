//! A network connection between `PostgreSQL` and `MariaDB` that a test can cut or freeze.

use sqlx::Executor;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::session;
use crate::office::Office;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Silent,
    Down,
}

/// Routes an office's connection to its EMR through a line of its own.
pub(super) async fn before(office: &Office) -> watch::Sender<State> {
    let (sender, state) = watch::channel(State::Up);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = format!("127.0.0.1:{}", std::env::var("TEST_MARIADB_PORT").unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if *state.borrow() == State::Down {
                continue;
            }
            let (server, state) = (server.clone(), state.clone());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(&server).await else { return };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::select! {
                    () = pass(from_client, to_server, state.clone()) => {}
                    () = pass(from_server, to_client, state) => {}
                }
            });
        }
    });
    let alter = format!("alter server partner_api_emr options (set port '{port}')");
    session(office).await.execute(sqlx::AssertSqlSafe(alter)).await.unwrap();
    sender
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut cut = state.clone();
    let work = async {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            if state.wait_for(|it| *it != State::Silent).await.is_err()
                || to.write_all(&bytes[..count]).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = cut.wait_for(|it| *it == State::Down) => {}
    }
}
