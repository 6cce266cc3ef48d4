//! Ten thousand ways to alter a token: the real edge rejects each of them without a fault.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderValue, Request},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};
use shared::domain::Scope;

use crate::office::{Engine, NOW, Office, TOKEN_KEY};

const CLAIMS: [&str; 10] =
    ["iss", "aud", "sub", "partner", "ppass", "scopes", "keyVersion", "iat", "nbf", "exp"];

const ALGORITHMS: [&str; 11] =
    ["none", "None", "NONE", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "", "HS257"];

/// A change of a valid token.
#[derive(Clone, Debug)]
enum Mutation {
    /// Flips a bit in one byte of the text.
    FlipBit(Index, u8),
    Truncate(Index),
    Insert(Index, u8),
    Remove(Index),
    /// Combines parts of two valid tokens, chosen by a bit each.
    Mix(u8),
    /// Changes or removes a header member; signed like a valid token.
    Header(&'static str, Option<Value>),
    /// Names the right algorithm in the header, but signs with another or none.
    Signature(&'static str),
    /// Signs with another key.
    OtherKey(Vec<u8>),
    MissingClaim(&'static str),
    /// Signs with the right key.
    Claim(&'static str, Value),
    /// The seconds between the token's times and now.
    Times {
        iat: i64,
        nbf: i64,
        exp: i64,
    },
    Bytes(Vec<u8>),
    Huge(usize),
}

fn json_values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::collection::vec("[a-zA-Z]{0,8}", 0..3).prop_map(Value::from),
        Just(json!({ "a": [1] })),
    ]
}

/// Times of which at least one is out of bounds: expired, not yet valid, from the future, or too
/// long a lifetime.
fn bad_times() -> impl Strategy<Value = Mutation> {
    let day = 86_400;
    prop_oneof![
        (-3 * day..=0).prop_map(|exp| Mutation::Times { iat: exp - 60, nbf: exp - 60, exp }),
        (6..day).prop_map(move |nbf| Mutation::Times { iat: 0, nbf, exp: day }),
        (6..day).prop_map(move |iat| Mutation::Times { iat, nbf: 0, exp: day }),
        (1..1_000_000_000_i64).prop_map(move |more| Mutation::Times { iat: 0, nbf: 0, exp: day + more }),
        (1..day).prop_map(move |earlier| Mutation::Times { iat: -earlier, nbf: -earlier, exp: day }),
        Just(Mutation::Times { iat: i64::MIN, nbf: i64::MIN, exp: i64::MAX }),
    ]
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let header = prop_oneof![
        select(&ALGORITHMS[..]).prop_map(|name| Mutation::Header("alg", Some(name.into()))),
        Just(Mutation::Header("alg", None)),
        Just(Mutation::Header("kid", None)),
        json_values().prop_map(|kid| Mutation::Header("kid", Some(kid))),
        select(&["k0", "k2", "K1", "k1 ", "../k1", "k1\0", "active"][..])
            .prop_map(|kid| Mutation::Header("kid", Some(kid.into()))),
    ];
    prop_oneof![
        3 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        1 => any::<Index>().prop_map(Mutation::Truncate),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        1 => any::<Index>().prop_map(Mutation::Remove),
        1 => (1..7_u8).prop_map(Mutation::Mix),
        2 => header,
        1 => select(&["none", "HS384", "HS512", "empty key"][..]).prop_map(Mutation::Signature),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Mutation::OtherKey),
        1 => select(&CLAIMS[..]).prop_map(Mutation::MissingClaim),
        3 => (select(&CLAIMS[..]), json_values()).prop_map(|(name, value)| Mutation::Claim(name, value)),
        2 => bad_times(),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Mutation::Bytes),
        1 => (4_097..200_000_usize).prop_map(Mutation::Huge),
    ]
}

fn now() -> i64 {
    NOW.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn hmac(algorithm: aws_lc_rs::hmac::Algorithm, key: &[u8], text: &str) -> String {
    let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(algorithm, key), text.as_bytes());
    URL_SAFE_NO_PAD.encode(tag)
}

fn head(header: &Map<String, Value>, claims: &Map<String, Value>) -> String {
    let part = |value: &Map<String, Value>| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
    format!("{}.{}", part(header), part(claims))
}

/// A token as this test creates it, without the product's code.
fn signed(header: &Map<String, Value>, claims: &Map<String, Value>, key: &[u8]) -> String {
    let head = head(header, claims);
    format!("{head}.{}", hmac(aws_lc_rs::hmac::HMAC_SHA256, key, &head))
}

struct Good {
    token: String,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Another valid token, of a key with other scopes.
    other: String,
}

impl Good {
    fn read(token: String, other: String) -> Self {
        let part = |index: usize| -> Map<String, Value> {
            let text = token.split('.').nth(index).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
        };
        Self { header: part(0), claims: part(1), token, other }
    }

    /// Returns the altered token; `None` if nothing changed.
    fn altered(&self, mutation: &Mutation) -> Option<Vec<u8>> {
        let mut bytes = self.token.clone().into_bytes();
        let with_claims = |claims: &Map<String, Value>| signed(&self.header, claims, TOKEN_KEY).into_bytes();
        match mutation {
            Mutation::FlipBit(at, bit) => bytes[at.index(self.token.len())] ^= 1 << bit,
            Mutation::Truncate(at) => bytes.truncate(at.index(self.token.len())),
            Mutation::Insert(at, byte) => bytes.insert(at.index(self.token.len() + 1), *byte),
            Mutation::Remove(at) => {
                bytes.remove(at.index(self.token.len()));
            }
            Mutation::Mix(choice) => {
                let parts =
                    |index: usize| [&self.token, &self.other].map(|it| it.split('.').nth(index).unwrap());
                let chosen: Vec<&str> =
                    (0..3).map(|part| parts(part)[usize::from(choice >> part & 1)]).collect();
                bytes = chosen.join(".").into_bytes();
                // Both headers are the same.
                if bytes == self.other.as_bytes() {
                    return None;
                }
            }
            Mutation::Header(name, value) => {
                let mut header = self.header.clone();
                header.remove(*name);
                header.extend(value.clone().map(|value| ((*name).to_owned(), value)));
                bytes = signed(&header, &self.claims, TOKEN_KEY).into_bytes();
            }
            Mutation::Signature(kind) => {
                let head = head(&self.header, &self.claims);
                let signature = match *kind {
                    "none" => String::new(),
                    "HS384" => hmac(aws_lc_rs::hmac::HMAC_SHA384, TOKEN_KEY, &head),
                    "HS512" => hmac(aws_lc_rs::hmac::HMAC_SHA512, TOKEN_KEY, &head),
                    _ => hmac(aws_lc_rs::hmac::HMAC_SHA256, b"", &head),
                };
                bytes = format!("{head}.{signature}").into_bytes();
            }
            Mutation::OtherKey(key) => bytes = signed(&self.header, &self.claims, key).into_bytes(),
            Mutation::MissingClaim(name) => {
                let mut claims = self.claims.clone();
                claims.remove(*name);
                bytes = with_claims(&claims);
            }
            Mutation::Claim(name, value) => {
                let mut claims = self.claims.clone();
                // With fewer scopes or an earlier start of validity, it is still a valid token.
                let harmless = match *name {
                    "scopes" => value.as_array().is_some_and(Vec::is_empty),
                    "nbf" => value.as_i64().is_some_and(|nbf| nbf <= now()),
                    _ => false,
                };
                if claims.insert((*name).to_owned(), value.clone()).as_ref() == Some(value) || harmless {
                    return None;
                }
                bytes = with_claims(&claims);
            }
            Mutation::Times { iat, nbf, exp } => {
                let mut claims = self.claims.clone();
                for (name, offset) in BTreeMap::from([("iat", iat), ("nbf", nbf), ("exp", exp)]) {
                    claims.insert(name.to_owned(), now().saturating_add(*offset).into());
                }
                bytes = with_claims(&claims);
            }
            Mutation::Bytes(random) => bytes.clone_from(random),
            Mutation::Huge(length) => bytes = self.token.bytes().cycle().take(*length).collect(),
        }
        (bytes.trim_ascii() != self.token.as_bytes()).then_some(bytes)
    }
}

#[test]
fn ten_thousand_altered_tokens_all_return_401() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let office = runtime.block_on(Office::open(Engine::Sqlite));
    let good = Good::read(
        runtime.block_on(office.token("all")),
        runtime.block_on(office.token_with(&[Scope::Prospects])),
    );
    let ring = runtime.block_on(office.app.token_ring()).unwrap();
    let call = |path: &str, value: HeaderValue| {
        let request = Request::get(path).header("authorization", value).body(Body::empty()).unwrap();
        runtime.block_on(office.pass(request))
    };
    let bearer = |bytes: &[u8]| HeaderValue::from_bytes(&[b"Bearer ", bytes].concat());
    // Tokens that this test signs itself are valid, so no rejection below is caused by the test.
    let own = signed(&good.header, &good.claims, TOKEN_KEY);
    for token in [&good.token, &good.other, &own] {
        call("/v1/DemoOffice/prospects", bearer(token.as_bytes()).unwrap()).expect(200);
    }

    let config =
        Config { cases: 10_000, max_global_rejects: 100_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let result = runner.run(&mutations(), |mutation| {
        let Some(altered) = good.altered(&mutation) else { return Err(TestCaseError::reject("unchanged")) };
        if let Ok(text) = std::str::from_utf8(&altered) {
            let claims = ring.verify(text.trim(), office.app.clock.now());
            // A well-signed token with false claims is detected by the key's own record.
            prop_assert!(claims.is_none() || matches!(mutation, Mutation::Claim(..)));
        }
        // A text that no HTTP header can contain is rejected before the edge.
        if let Ok(value) = bearer(&altered) {
            let reply = call("/v1/DemoOffice/prospects", value);
            if reply.status.as_u16() == 431 {
                prop_assert!(altered.len() > 7_000, "{} bytes are not too large", altered.len());
            } else {
                prop_assert_eq!(reply.status.as_u16(), 401);
                prop_assert_eq!(&reply.body["code"], "UNAUTHENTICATED");
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
