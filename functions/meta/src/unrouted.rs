//! API Gateway's `$default` route: 404, or 405 with `Allow` if only the method is wrong.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, Method, Uri, header::ALLOW},
    response::{IntoResponse, Response},
};
use matchit::Router;
use serde_json::Value;
use shared::api::{ApiError, Code};

/// The methods of each documented path.
static METHODS: LazyLock<Router<Vec<String>>> = LazyLock::new(|| {
    let mut router = Router::new();
    let description: Value = serde_json::from_str(crate::DESCRIPTION).unwrap_or_default();
    for (path, operations) in description["paths"].as_object().into_iter().flatten() {
        let mut methods: Vec<String> =
            operations.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect();
        // HEAD is supported wherever GET is (RFC 9110, section 9.3.2).
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        if let Err(error) = router.insert(path.clone(), methods) {
            tracing::error!(%error, path, "a documented path cannot be routed");
        }
    }
    router
});

pub(crate) async fn answer(method: Method, uri: Uri) -> Response {
    let Ok(found) = METHODS.at(uri.path()) else { return ApiError::not_found().into_response() };
    // A path with an encoded slash matches here but not at the gateway. Its method is not the
    // problem.
    if found.value.iter().any(|it| it == method.as_str()) {
        return ApiError::not_found().into_response();
    }
    let error = ApiError::new(Code::MethodNotAllowed, "See the 'Allow' header for the methods of this path.");
    let mut response = error.into_response();
    if let Ok(methods) = HeaderValue::from_str(&found.value.join(", ")) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}
