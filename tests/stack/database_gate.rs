//! A proxy in front of the `PostgreSQL` server that makes one practice's database fail.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The behavior of the affected database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Connections are accepted and kept open, but nothing is forwarded.
    Silent,
    /// Connections are closed.
    Refusing,
}

pub(crate) struct DatabaseGate {
    /// The server's URL through the gate.
    pub(crate) url: String,
    mood: watch::Sender<Mood>,
    held_back: Arc<AtomicUsize>,
}

impl DatabaseGate {
    /// Opens a gate in front of `server`; moods affect the databases whose names contain `ill`.
    pub(crate) async fn open(server: &str, ill: &'static str) -> Self {
        let (scheme_and_user, rest) = server.split_once('@').unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Without TLS, the first message of a connection names the database.
        let url = format!("{scheme_and_user}@{}/{path}?sslmode=disable", listener.local_addr().unwrap());
        let (mood, moods) = watch::channel(Mood::Well);
        let held_back = Arc::<AtomicUsize>::default();
        let (address, holding) = (address.to_owned(), held_back.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, address.clone(), ill, moods.clone(), holding.clone()));
            }
        });
        Self { url, mood, held_back }
    }

    /// Counts the messages sent to the silent database since it became silent.
    pub(crate) fn held_back_count(&self) -> usize {
        self.held_back.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.held_back.store(0, Ordering::Relaxed);
        self.mood.send_replace(mood);
    }
}

async fn pass(
    mut client: TcpStream,
    server: String,
    ill: &str,
    mut moods: watch::Receiver<Mood>,
    held_back: Arc<AtomicUsize>,
) {
    let Ok(length) = client.read_u32().await else { return };
    let mut first = vec![0; length as usize - 4];
    if client.read_exact(&mut first).await.is_err() {
        return;
    }
    if !String::from_utf8_lossy(&first).contains(ill) {
        moods = watch::channel(Mood::Well).1;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let sent = [&length.to_be_bytes()[..], &first].concat();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut refused = moods.clone();
    let requests = async {
        note(&moods, &held_back);
        if responds(&mut moods.clone()).await && to_server.write_all(&sent).await.is_ok() {
            pump(&mut from_client, &mut to_server, moods.clone(), &held_back).await;
        }
    };
    tokio::select! {
        () = requests => {}
        () = pump(&mut from_server, &mut to_client, moods.clone(), &held_back) => {}
        () = cut(&mut refused) => {}
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut moods: watch::Receiver<Mood>,
    held_back: &AtomicUsize,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        note(&moods, held_back);
        if !responds(&mut moods).await || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn note(moods: &watch::Receiver<Mood>, held_back: &AtomicUsize) {
    held_back.fetch_add(usize::from(*moods.borrow() == Mood::Silent), Ordering::Relaxed);
}

/// Waits while the database is silent; returns whether it then responds. Without moods it always
/// does.
async fn responds(moods: &mut watch::Receiver<Mood>) -> bool {
    let mood = moods.wait_for(|mood| *mood != Mood::Silent).await.map(|mood| *mood);
    mood.unwrap_or(Mood::Well) == Mood::Well
}

async fn cut(moods: &mut watch::Receiver<Mood>) {
    if moods.wait_for(|mood| *mood == Mood::Refusing).await.is_err() {
        std::future::pending::<()>().await;
    }
}
