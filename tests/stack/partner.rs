//! A partner's webhook endpoint on loopback.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::wait::until;

/// One request that arrived.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Arrival {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// Whether the signature follows Standard Webhooks, computed here without the product's code.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut signed =
            format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).into_bytes();
        signed.extend(&self.body);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed);
        let expected = format!("v1,{}", STANDARD.encode(tag));
        self.header("webhook-signature").split(' ').any(|it| it == expected)
    }
}

#[derive(Clone, Default)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Endpoint {
    pub(crate) async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let endpoint = Self { url, arrivals: Arc::default() };
        let routes = Router::new().route("/hooks", post(receive)).with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        endpoint
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    /// Waits for events with `count` different ids that `wanted` accepts; returns these arrivals.
    pub(crate) async fn receives(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Arrival> {
        until("events", async || {
            let arrivals: Vec<Arrival> =
                self.arrivals().into_iter().filter(|it| wanted(&it.json())).collect();
            let ids: HashSet<&str> = arrivals.iter().map(|it| it.header("x-officepro-event-id")).collect();
            let arrived = ids.len();
            if arrived >= count { Ok(arrivals) } else { Err(format!("{arrived} of {count} arrived")) }
        })
        .await
    }
}

async fn receive(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) {
    endpoint.arrivals.lock().unwrap().push(Arrival { headers, body: body.to_vec() });
}
