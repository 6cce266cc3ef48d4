//! A proxy between a client and a database.

use tokio::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};

/// Returns a connection string of the same database through a proxy. It forwards clients' messages;
/// `answer` gets the server's side of a connection and the client's, and forwards the responses.
pub(crate) async fn before<A>(
    dsn: &str,
    answer: impl Fn(OwnedReadHalf, OwnedWriteHalf) -> A + Send + 'static,
) -> String
where
    A: Future<Output = ()> + Send + 'static,
{
    let (user, rest) = dsn.split_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (mut from_client, to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            let answered = answer(from_server, to_client);
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    () = answered => {}
                }
            });
        }
    });
    format!("{user}@{address}/{path}")
}
