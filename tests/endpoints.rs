//! Faults of endpoints: the text that partners read for each, and the choice among several
//! addresses. Real listeners on loopback.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use hyper::HeaderMap;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use shared::egress::{Client, Failure, Guard, HookUrl, Reach, Resolver, Timeouts};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::office::timeouts;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Resolves every name to the same answer.
struct Resolves(Result<Vec<IpAddr>, io::ErrorKind>);

impl Resolver for Resolves {
    fn resolve(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = self.0.clone().map_err(io::Error::from);
        Box::pin(async { answer })
    }
}

fn client(answer: Result<Vec<IpAddr>, io::ErrorKind>) -> Client {
    let guard = Guard::new(Arc::new(Resolves(answer)), Reach::InternetAndLoopback);
    Client::new(guard).with_timeouts(timeouts::ENDPOINT)
}

async fn call(client: &Client, url: &str) -> Result<u16, Failure> {
    let url = HookUrl::parse(url, Reach::InternetAndLoopback).unwrap();
    let answer =
        client.post(&url, HeaderMap::new(), Bytes::from_static(b"{}"), Timestamp::UNIX_EPOCH).await?;
    Ok(answer.status.as_u16())
}

/// How a server treats each connection.
#[derive(Clone)]
enum Behavior {
    /// Sends this after it has received data, and closes.
    Answers(Vec<u8>),
    /// Like [`Self::Answers`], but leaves the connection open.
    Begins(Vec<u8>),
    /// Closes at once.
    Closes,
    /// Closes with a reset after it has received data.
    Resets,
    /// Accepts, and sends nothing.
    Silent,
    Tls(Arc<ServerConfig>),
}

async fn server(behavior: Behavior) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(behavior.clone(), stream));
        }
    });
    address
}

async fn serve(behavior: Behavior, mut stream: TcpStream) {
    let mut read = [0; 4096];
    match behavior {
        Behavior::Answers(bytes) => {
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(&bytes).await;
        }
        Behavior::Begins(bytes) => {
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
        Behavior::Closes => (),
        Behavior::Resets => {
            let _ = stream.read(&mut read[..1]).await;
            let _ = stream.set_zero_linger();
        }
        Behavior::Silent => std::future::pending::<()>().await,
        Behavior::Tls(config) => {
            if let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await {
                let _ = stream.read(&mut read).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    }
}

/// A certificate authority, which issues servers' certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots }
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Behavior {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Behavior::Tls(Arc::new(config))
    }
}

/// The beginning of the `ServerHello` of a server that supports TLS 1.1 at most.
fn old_server_hello() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x13, 0]);
    let mut bytes = vec![22, 3, 2, 0, u8::try_from(hello.len() + 4).unwrap(), 2, 0, 0];
    bytes.push(u8::try_from(hello.len()).unwrap());
    bytes.extend(hello);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_fault_has_its_own_message() {
    let authority = Authority::new("Known");
    let strangers = Authority::new("Unknown");
    let here = || client(Ok(vec![LOOPBACK])).with_roots(authority.roots.clone());
    let past = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
    };
    let future = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2099, 1, 1), date_time_ymd(2100, 1, 1));
    };
    let answer = |text: &str| Behavior::Answers(text.as_bytes().to_vec());
    for (scheme, behavior, expected) in [
        ("http", Behavior::Closes, "the connection was closed before the answer was complete"),
        ("http", Behavior::Resets, "the connection was reset"),
        ("http", answer("SSH-2.0-OpenSSH_9.2\r\n"), "the answer is not HTTP"),
        (
            "http",
            answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
            "the connection was closed before the answer was complete",
        ),
        ("https", Behavior::Closes, "the TLS handshake failed: the connection was closed"),
        (
            "https",
            answer("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "the TLS handshake failed: the endpoint doesn't speak TLS on this port",
        ),
        (
            "https",
            Behavior::Answers(vec![21, 3, 1, 0, 2, 2, 70]),
            "the TLS handshake failed: the endpoint supports neither TLS 1.2 nor 1.3",
        ),
        (
            "https",
            Behavior::Answers(old_server_hello()),
            "the TLS handshake failed: the endpoint supports neither TLS 1.2 nor 1.3",
        ),
        (
            "https",
            Behavior::Answers(vec![21, 3, 3, 0, 2, 2, 40]),
            "the TLS handshake failed: the endpoint rejected it",
        ),
        (
            "https",
            authority.server("localhost", past),
            "the TLS handshake failed: the certificate has expired",
        ),
        (
            "https",
            authority.server("localhost", future),
            "the TLS handshake failed: the certificate is not valid yet",
        ),
        (
            "https",
            authority.server("other.example", |_| ()),
            "the TLS handshake failed: the certificate is not valid for the host name",
        ),
        (
            "https",
            strangers.server("localhost", |_| ()),
            "the TLS handshake failed: the certificate's issuer is unknown; send the full certificate chain",
        ),
    ] {
        let address = server(behavior).await;
        let failure = call(&here(), &format!("{scheme}://localhost:{}/", address.port())).await.unwrap_err();
        assert_eq!(failure.to_string(), expected);
    }
    let good = server(authority.server("localhost", |_| ())).await;
    assert_eq!(call(&here(), &format!("https://localhost:{}/", good.port())).await, Ok(200));
}

#[tokio::test]
async fn a_closed_port_is_reported_as_a_refused_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://localhost:{}/", nobody.port());
    let refused = call(&client(Ok(vec![LOOPBACK])), &url).await.unwrap_err();
    assert_eq!(refused.to_string(), "the connection was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_error_names_the_phase() {
    let short = Duration::from_millis(200);
    let limited = |connect, total| client(Ok(vec![LOOPBACK])).with_timeouts(Timeouts { connect, total });
    // The TLS handshake gets the rest of the total.
    let (long, longer) = (timeouts::ENDPOINT.connect, timeouts::ENDPOINT.connect + short);
    let silent = server(Behavior::Silent).await;
    let (full, _holding) = silent_address(LOOPBACK).await;
    let begun = Behavior::Begins(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec());
    let begun = server(begun).await;
    for (scheme, address, timeouts, expected) in [
        ("http", full, (short, long), "timed out connecting: there was no connection within 5 seconds"),
        ("https", silent, (long, longer), "timed out in the TLS handshake, after 10 seconds"),
        (
            "http",
            silent,
            (long, short),
            "timed out waiting for the first byte of the answer: the call took 15 seconds",
        ),
        ("http", begun, (long, short), "timed out reading the body of the answer: the call took 15 seconds"),
    ] {
        let client = limited(timeouts.0, timeouts.1);
        let failure = call(&client, &format!("{scheme}://localhost:{}/", address.port())).await.unwrap_err();
        assert_eq!(failure.to_string(), expected);
    }
}

#[tokio::test]
async fn unresolvable_names_are_distinguished_and_blocked_addresses_are_not() {
    let told =
        async |answer| call(&client(answer), "https://partner.example.com/").await.unwrap_err().to_string();
    assert_eq!(told(Ok(vec![])).await, "there is no such host: the name has no address");
    let unknown = told(Err(io::ErrorKind::NotFound)).await;
    assert_eq!(unknown, "there is no such host: the name has no address");
    let failed = told(Err(io::ErrorKind::Other)).await;
    assert_eq!(failed, "the host name could not be looked up: DNS failed");
    let public: IpAddr = "93.184.216.34".parse().unwrap();
    for blocked in ["10.0.0.1", "169.254.169.254", "192.168.1.1", "fd00::1", "0.0.0.0", "100.64.0.1"] {
        let blocked = blocked.parse().unwrap();
        for answer in [vec![blocked], vec![public, blocked], vec![blocked, LOOPBACK]] {
            assert_eq!(told(Ok(answer)).await, "the host has an address that is not public", "{blocked}");
        }
    }
}

/// Returns an address that neither accepts nor refuses connections while the second part exists:
/// the queue of a listener that accepts nothing is full.
async fn silent_address(ip: IpAddr) -> (SocketAddr, (std::net::TcpListener, Vec<TcpStream>)) {
    let socket = if ip.is_ipv4() {
        tokio::net::TcpSocket::new_v4().unwrap()
    } else {
        tokio::net::TcpSocket::new_v6().unwrap()
    };
    socket.bind(SocketAddr::new(ip, 0)).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    // The kernel drops connection requests when the queue is full, so connecting never ends.
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        held.push(stream.unwrap());
        assert!(held.len() < 100, "the queue never fills");
    }
    (address, (listener, held))
}

/// Returns a silent IPv6 address, and a listener on the same port of the IPv4 address.
async fn silent_and_served() -> (SocketAddr, (std::net::TcpListener, Vec<TcpStream>), TcpListener) {
    for _ in 0..50 {
        let (silent, holding) = silent_address(IpAddr::V6(Ipv6Addr::LOCALHOST)).await;
        // Another test or connection may hold the port on IPv4.
        if let Ok(listener) = TcpListener::bind((LOOPBACK, silent.port())).await {
            return (silent, holding, listener);
        }
    }
    panic!("no port is free on both addresses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_address_does_not_block_the_other_addresses() {
    let (silent, _holding, listener) = silent_and_served().await;
    tokio::spawn(async move {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Behavior::Answers(bytes.clone()), stream));
        }
    });
    let url = format!("http://localhost:{}/", silent.port());
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    // The timeouts are longer than the test may take: without the second address, it would fail.
    for answer in [vec![six, LOOPBACK], vec![LOOPBACK, six], vec![six, six, six, LOOPBACK]] {
        let called = crate::office::ends("the call", call(&client(Ok(answer.clone())), &url).boxed()).await;
        assert_eq!(called, Ok(200), "{answer:?}");
    }
    let refused = call(&client(Ok(vec![six, "10.0.0.1".parse().unwrap(), LOOPBACK])), &url).await;
    assert_eq!(refused.unwrap_err().to_string(), "the host has an address that is not public");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_addresses_of_a_host_share_one_time_limit() {
    let (silent, _holding) = silent_address(LOOPBACK).await;
    let many: Vec<IpAddr> = (1..=50).map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))).collect();
    let client = client(Ok(many))
        .with_timeouts(Timeouts { connect: Duration::from_millis(300), ..timeouts::ENDPOINT });
    let url = format!("http://localhost:{}/", silent.port());
    let called = call(&client, &url);
    let failure = crate::office::ends("the call", called.boxed()).await.unwrap_err().to_string();
    let told =
        ["timed out connecting: there was no connection within 5 seconds", "the connection was refused"];
    assert!(told.contains(&failure.as_str()), "{failure}");
}
