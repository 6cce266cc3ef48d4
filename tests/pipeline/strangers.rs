//! No socket is opened to an address that is not public, by URL or by DNS. Listeners count
//! connections.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::http::HeaderMap;
use futures::future::BoxFuture;
use jiff::Timestamp;
use shared::egress::{Client, Failure, Guard, HookUrl, Reach, Refused, Resolver};
use tokio::net::{TcpListener, TcpStream};

use crate::office::{Answer, Receiver, ends};

/// Every non-public network of the guard's own tests, by its first address and one inside.
const NOT_PUBLIC: [&str; 42] = [
    "0.0.0.0",
    "0.0.0.1",
    "10.0.0.0",
    "10.9.8.7",
    "100.64.0.0",
    "100.100.1.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.0.0",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

/// Listens at the blocked addresses and counts connections.
struct Trap {
    count: Arc<AtomicUsize>,
    addresses: Vec<&'static str>,
}

impl Trap {
    /// Listens on port 443 if permitted: the guard allows no other port.
    async fn set() -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let mut addresses = Vec::new();
        for (listened_on, address) in [("0.0.0.0:443", "127.0.0.1:443"), ("[::1]:443", "[::1]:443")] {
            let Ok(listener) = TcpListener::bind(listened_on).await else {
                eprintln!("cannot listen on {listened_on} here: the test sees only the rejection");
                continue;
            };
            addresses.push(address);
            let count = count.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    count.fetch_add(1, Ordering::Relaxed);
                    drop(stream);
                }
            });
        }
        Self { count, addresses }
    }

    async fn assert_no_connection(&self) {
        // Connections are accepted in order and closed at once: when ours is closed, all earlier
        // ones were counted.
        for address in &self.addresses {
            let own = TcpStream::connect(address).await.unwrap();
            ends("the end of our own connection", own.readable()).await.unwrap();
        }
        assert_eq!(self.count.load(Ordering::Relaxed), self.addresses.len(), "a socket was opened");
    }
}

/// Returns the next answer at each call, and the last one from then on.
struct Turncoat {
    answers: Vec<IpAddr>,
    asked: AtomicUsize,
}

impl Resolver for Turncoat {
    fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let place = self.asked.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        let answer = self.answers[place];
        Box::pin(async move { Ok(vec![answer]) })
    }
}

fn client(answers: &[&str]) -> Client {
    let answers = answers.iter().map(|it| it.parse().unwrap()).collect();
    Client::new(Guard::new(Arc::new(Turncoat { answers, asked: AtomicUsize::new(0) }), Reach::Internet))
}

async fn post(client: &Client, url: &HookUrl) -> Result<u16, Failure> {
    let answer = client.post(url, HeaderMap::new(), "{}".into(), Timestamp::UNIX_EPOCH).await;
    answer.map(|answer| answer.status.as_u16())
}

/// A stored URL that bypassed the checks of sign-up.
fn stored(url: &str) -> HookUrl {
    serde_json::from_value(serde_json::json!(url)).unwrap()
}

#[tokio::test]
async fn connections_to_addresses_that_are_not_public_are_never_opened() {
    let trap = Trap::set().await;
    for address in NOT_PUBLIC {
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        for url in [format!("https://{host}/hook"), format!("https://{host}:443/")] {
            assert!(HookUrl::parse(&url, Reach::Internet).is_err(), "{url}");
            assert_eq!(post(&client(&["93.184.216.34"]), &stored(&url)).await, Err(Failure::Url), "{url}");
        }
        let by_name = stored("https://partner.example.com/hook");
        let refused = Err(Failure::Refused(Refused::NotPublic));
        assert_eq!(post(&client(&[address]), &by_name).await, refused, "{address}");
    }
    for host in
        ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost", "a.localhost", "\u{ff11}27.0.0.1"]
    {
        let url = format!("https://{host}/hook");
        assert!(HookUrl::parse(&url, Reach::Internet).is_err(), "{url}");
        assert_eq!(post(&client(&["127.0.0.1"]), &stored(&url)).await, Err(Failure::Url), "{url}");
    }
    trap.assert_no_connection().await;
}

#[tokio::test]
async fn a_changed_dns_answer_after_the_sign_up_opens_no_connection() {
    let trap = Trap::set().await;
    let url = HookUrl::parse("https://partner.example.com/hook", Reach::Internet).unwrap();
    for second in ["127.0.0.1", "::1", "10.0.0.1", "::ffff:127.0.0.1"] {
        let client = client(&["93.184.216.34", second]);
        assert_eq!(client.vet(&url).await, Ok(()), "sign-up sees a public address");
        assert_eq!(post(&client, &url).await, Err(Failure::Refused(Refused::NotPublic)), "{second}");
    }
    trap.assert_no_connection().await;
}

#[tokio::test]
async fn a_redirect_opens_no_connection() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let local = Client::new(Guard::new(
        Arc::new(Turncoat { answers: vec!["127.0.0.1".parse().unwrap()], asked: AtomicUsize::new(0) }),
        Reach::InternetAndLoopback,
    ));
    let url = HookUrl::parse(&first.url, Reach::InternetAndLoopback).unwrap();
    for status in [301, 302, 303, 307, 308] {
        first.then(Answer::status(status).header("location", second.url.clone()));
        assert_eq!(post(&local, &url).await, Ok(status));
    }
    assert_eq!((first.received().len(), second.received().len()), (5, 0));
}
