//! Calls at a steady rate, whatever the answers take, and what came of them.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{http::Reply, running::Stack};

/// One call as its caller saw it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) took: Duration,
    /// `None`: the connection broke.
    pub(crate) reply: Option<Reply>,
}

impl Call {
    pub(crate) fn status(&self) -> u16 {
        self.reply.as_ref().map_or(0, |it| it.status)
    }

    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Seconds to wait before the next try, if the answer says so.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.reply.as_ref()?.headers.get("retry-after")?.to_str().ok()?.parse().ok()
    }
}

/// What the calls of a load need to know of the stack.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) http: crate::http::Http,
    pub(crate) base: String,
    pub(crate) token: String,
}

impl Caller {
    pub(crate) fn new(stack: &Stack, token: &str) -> Self {
        Self { http: stack.http.clone(), base: stack.base.clone(), token: token.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Call {
        self.call("GET", path, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, idempotency_key: &str, body: &Value) -> Call {
        self.call("POST", path, Some(idempotency_key), Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Call {
        self.call("PUT", path, None, Some(body)).await
    }

    async fn call(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Call {
        let authorization = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = body.map_or_else(String::new, Value::to_string);
        let began = Instant::now();
        let reply = self.http.send_with(method, &format!("{}{path}", self.base), &headers, body).await;
        Call { took: began.elapsed(), reply }
    }
}

/// Begins `a_second` calls every second, but has no more than `at_once` under way; their results.
pub(crate) async fn at_rate<Made>(
    a_second: u32,
    time: Duration,
    at_once: usize,
    make: impl Fn(usize) -> Made,
) -> Vec<Made::Output>
where
    Made: Future<Output: Send> + Send + 'static,
{
    let began = Instant::now();
    let (mut under_way, mut done) = (JoinSet::new(), Vec::new());
    let mut number = 0;
    while began.elapsed() < time {
        let due = began + Duration::from_secs(1) * u32::try_from(number).unwrap() / a_second;
        tokio::time::sleep_until(due.into()).await;
        if under_way.len() >= at_once {
            done.extend(under_way.join_next().await.map(Result::unwrap));
        }
        under_way.spawn(make(number));
        number += 1;
    }
    done.extend(under_way.join_all().await);
    done
}

/// The 99th percentile.
pub(crate) fn p99<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Duration {
    let mut times: Vec<Duration> = calls.into_iter().map(|it| it.took).collect();
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}
