//! Responses, and the data read for them, are bounded for any input and any stored data.
//!
//! Every operation in the OpenAPI description is tested, so a new one is covered automatically.

pub(crate) mod inputs;
mod lists;
mod stored;

use axum::routing::get;

use crate::{
    access_matrix::{Access, Operation},
    office::{ADMIN_SECRET, Engine, Office, Reply},
};

/// Bytes of the largest response.
const LARGEST: usize = 1 << 20;

/// Calls the operation with a credential that it accepts.
async fn call(office: &Office, token: &str, operation: &Operation, path: &str, body: Option<&str>) -> Reply {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    match operation.access {
        Access::Partner(_) => headers.push(("authorization", &bearer)),
        Access::Admin => headers.push(("x-admin-secret", ADMIN_SECRET)),
        Access::Open | Access::Session => (),
    }
    office.call(&operation.method, path, &headers, body).await
}

/// Describes a response that is too large or a server error.
fn fault(reply: &Reply) -> Option<String> {
    let listed = reply.body["errors"].as_array().map_or(0, Vec::len);
    let omitted = reply.body["errorsOmitted"].as_u64();
    let status = reply.status.as_u16();
    let told = format!("{status}, {} bytes, {listed} errors", reply.bytes);
    let wrong = reply.bytes > LARGEST
        || status >= 500
        || listed > 20
        || omitted.is_some_and(|omitted| omitted == 0 || listed < 20);
    wrong.then_some(told)
}

#[tokio::test]
async fn a_reply_over_every_limit_becomes_a_problem() {
    let mut office = Office::open(Engine::Sqlite).await;
    let huge = |bytes: usize| async move { "x".repeat(bytes) };
    office.answer_at(
        axum::Router::new()
            .route("/v1/huge", get(move || huge(LARGEST + 1)))
            .route("/v1/large", get(move || huge(LARGEST))),
    );
    assert_eq!(office.call("GET", "/v1/large", &[], None).await.bytes, LARGEST);
    let reply = office.call("GET", "/v1/huge", &[], None).await;
    reply.expect_problem(500, "RESPONSE_TOO_LARGE");
}
