//! Many concurrent calls and their results.

use futures::{StreamExt, stream};
use serde_json::Value;

use crate::{http::Reply, running::Stack};

/// The result of one call.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None` if the connection broke.
    pub(crate) reply: Option<Reply>,
}

impl Call {
    pub(crate) fn status(&self) -> u16 {
        self.reply.as_ref().map_or(0, |it| it.status)
    }

    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Whether the response tells the caller to retry, and when.
    pub(crate) fn asks_to_retry(&self) -> bool {
        [429, 503].contains(&self.status()) && self.retry_after().is_some_and(|seconds| seconds >= 1)
    }

    /// Whether the function itself tells the caller to retry. The gateway, after giving up on the
    /// function, would send a different detail.
    pub(crate) fn function_asks_to_retry(&self) -> bool {
        let detail = self.reply.as_ref().map(|it| &it.body["detail"]);
        self.asks_to_retry() && detail.is_some_and(|it| it == "Try again in a moment.")
    }

    /// Returns the seconds of `Retry-After`, if present.
    fn retry_after(&self) -> Option<u64> {
        self.reply.as_ref()?.headers.get("retry-after")?.to_str().ok()?.parse().ok()
    }
}

/// The stack's data that the calls of a load test need.
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
        Call { reply: self.http.send_with(method, &format!("{}{path}", self.base), &headers, body).await }
    }
}

/// Makes `count` calls, `at_once` of them concurrently; returns their results in order of
/// completion.
pub(crate) async fn call_many<Made>(
    count: usize,
    at_once: usize,
    make: impl Fn(usize) -> Made,
) -> Vec<Made::Output>
where
    Made: Future<Output: Send> + Send + 'static,
{
    let calls = stream::iter(0..count).map(|number| tokio::spawn(make(number)));
    calls.buffer_unordered(at_once).map(Result::unwrap).collect().await
}
