//! The proxy in front of DynamoDB, which authorizes requests. It executes the most frequent
//! operations itself, without a second HTTP call.

use std::sync::Arc;

use bytes::Bytes;
use dynoxide::Database;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::http::{HttpResponse, answer, read_body};
use crate::permissions::dynamodb::Keys;
use crate::permissions::{AccessError, Permissions};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// DynamoDB's maximum size of a request.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

pub(super) struct AuthorizingProxy {
    pub(super) database: Database,
    pub(super) permissions: Arc<Permissions>,
    pub(super) keys: Keys,
    /// The base URL of DynamoDB itself.
    pub(super) inside: Uri,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
}

impl AuthorizingProxy {
    pub(super) fn new(database: Database, permissions: &Arc<Permissions>, keys: Keys, inside: Uri) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { database, permissions: Arc::clone(permissions), keys, inside, client }
    }

    pub(super) async fn handle(&self, request: Request<Incoming>) -> HttpResponse {
        let (parts, body) = request.into_parts();
        let Ok(body) = read_body(body, BODY_LIMIT).await else {
            return refuse("com.amazon.coral.service#SerializationException", "the body cannot be read");
        };
        match self.check(&parts.headers, &body) {
            Ok(()) => {}
            Err(AccessError::UnknownKey) => {
                let message = "The security token included in the request is invalid.";
                return refuse("com.amazon.coral.service#UnrecognizedClientException", message);
            }
            Err(AccessError::Denied(message)) => {
                return refuse("com.amazon.coral.service#AccessDeniedException", &message);
            }
        }
        if let Some(done) = self.act(operation(&parts.headers), &body) {
            return answer(StatusCode::OK, CONTENT_TYPE, done);
        }
        let mut inwards = Request::new(Full::new(body));
        *inwards.method_mut() = parts.method;
        *inwards.uri_mut() = self.inside.clone();
        *inwards.headers_mut() = of_message(parts.headers);
        match self.ask(inwards).await {
            Ok(answer) => answer,
            Err(error) => {
                eprintln!("dynamodb: {error}");
                let mut answer =
                    refuse("com.amazonaws.dynamodb.v20120810#InternalServerError", "DynamoDB has stopped");
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                answer
            }
        }
    }

    fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), AccessError> {
        let operation = operation(headers);
        self.permissions.caller(headers)?.may(|| {
            // A body that is not JSON names neither table nor key: this proxy or DynamoDB rejects
            // it.
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            self.keys.calls(operation, &body)
        })
    }

    /// Executes the operations that functions use most. Returns `None` for all others and for
    /// failed ones, which change nothing: DynamoDB itself then answers with its own error.
    fn act(&self, operation: &str, body: &[u8]) -> Option<String> {
        let database = &self.database;
        match operation {
            "GetItem" => done(body, |asked| database.get_item(asked)),
            "BatchGetItem" => done(body, |asked| database.batch_get_item(asked)),
            "Query" => done(body, |asked| database.query(asked)),
            "PutItem" => done(body, |asked| database.put_item(asked)),
            "UpdateItem" => done(body, |asked| database.update_item(asked)),
            "TransactWriteItems" => done(body, |asked| database.transact_write_items(asked)),
            _ => None,
        }
    }

    async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<HttpResponse, Box<dyn std::error::Error + Send + Sync>> {
        let (parts, body) = self.client.request(request).await?.into_parts();
        let mut answer = Response::new(Full::new(body.collect().await?.to_bytes()));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = of_message(parts.headers);
        Ok(answer)
    }
}

fn operation(headers: &HeaderMap) -> &str {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

fn done<Asked: DeserializeOwned, Answered: Serialize>(
    body: &[u8],
    work: impl FnOnce(Asked) -> dynoxide::Result<Answered>,
) -> Option<String> {
    let answered = work(serde_json::from_slice(body).ok()?).ok()?;
    serde_json::to_string(&answered).ok()
}

/// The headers without those that apply to one connection only.
fn of_message(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::HOST] {
        headers.remove(name);
    }
    headers
}

fn refuse(kind: &str, message: &str) -> HttpResponse {
    let body = json!({ "__type": kind, "Message": message });
    answer(StatusCode::BAD_REQUEST, CONTENT_TYPE, body.to_string())
}
