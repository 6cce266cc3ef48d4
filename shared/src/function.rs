//! Wiring: what every function's `main` calls.

mod flush;
mod path;
mod telemetry;

use axum::Router;
use lambda_http::{Error, tower::util::MapRequest};

use crate::{
    api::{ApiError, edge},
    app::App,
};
pub use telemetry::init as init_telemetry;

/// Serves `routes` behind API Gateway until Lambda ends the process; any other path is 404.
///
/// A function is sent paths of no route of its own when a path parameter holds an encoded slash.
///
/// # Errors
/// When the Runtime API can't be reached.
pub async fn serve(routes: impl Into<Router<App>>) -> Result<(), Error> {
    serve_with_fallback(routes.into().fallback(|| async { ApiError::not_found() })).await
}

/// As [`serve`], for routes that answer every other path themselves.
///
/// # Errors
/// When the Runtime API can't be reached.
pub async fn serve_with_fallback(routes: impl Into<Router<App>>) -> Result<(), Error> {
    telemetry::init();
    let app = App::from_env();
    let (answered, flushes) = flush::channel();
    let extension = flush::register(app.clone(), flushes).await?;
    let service = flush::Notify::new(MapRequest::new(edge(routes.into(), app.clone()), path::keep), answered);
    tokio::try_join!(lambda_http::run(service), extension)?;
    Ok(())
}
