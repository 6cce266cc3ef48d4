//! The entry points that each function's `main` calls.

mod flush;
mod path;
mod process;
pub mod sqs;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use lambda_http::{Context, LambdaEvent, service_fn, tower::util::MapRequest};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

use crate::{
    api::{ApiError, edge},
    app::App,
};
use process::{Process, Ready};

pub use lambda_http::Error;

/// Serves `routes` behind API Gateway until Lambda ends the process; any other path returns 404.
///
/// `function` is the function's name, such as `visits`. A function receives paths that match none
/// of its routes if a path parameter contains an encoded slash.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub fn serve(function: &'static str, routes: impl Into<Router<App>>) -> Result<(), Error> {
    serve_with_fallback(function, routes.into().fallback(|| async { ApiError::not_found() }))
}

/// The same as [`serve`], for routes that handle every other path themselves.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub fn serve_with_fallback(function: &'static str, routes: impl Into<Router<App>>) -> Result<(), Error> {
    start(serve_until_end(function, routes.into()))
}

/// Runs a function's work on this thread.
///
/// # Errors
/// If the work fails.
pub fn start(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Not generic, so that it is compiled once and not with each function.
async fn serve_until_end(function: &'static str, routes: Router<App>) -> Result<(), Error> {
    let process = Process::begin(function);
    let app = App::from_env();
    app.control.warm_up().await;
    let (answered, flushes) = flush::channel();
    let extension = flush::register(app.clone(), flushes).await?;
    let routes = edge(routes, app).layer(from_fn_with_state(process.ready(), in_context));
    let service = flush::Notify::new(MapRequest::new(routes, path::keep), answered);
    tokio::try_join!(lambda_http::run(service), extension)?;
    Ok(())
}

async fn in_context(State(process): State<Ready>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Context>().map(|it| process.context(it)) {
        Some(context) => next.run(request).instrument(context).await,
        None => next.run(request).await,
    }
}

/// Handles the invocations of a function without routes until Lambda ends the process.
///
/// # Errors
/// If the Runtime API cannot be reached.
pub async fn run<E, R>(
    function: &'static str,
    app: App,
    handler: impl AsyncFn(&App, LambdaEvent<E>) -> Result<R, Error>,
) -> Result<(), Error>
where
    E: DeserializeOwned,
    R: Serialize,
{
    let process = Process::begin(function);
    app.control.warm_up().await;
    let process = process.ready();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<E>| {
        let context = process.context(&event.context);
        // Without the box, the compiler cannot resolve futures nested as deeply as the poller's.
        Box::pin(handler(&app, event)).instrument(context).await
    }))
    .await
}

/// As [`run`], for a handler that leaves work in [`App::background`]: the environment gets its next
/// invocation when that work has ended, but the response is sent at once.
///
/// # Errors
/// When the Runtime API can't be reached.
pub async fn run_with_background<E, R>(
    function: &'static str,
    app: App,
    handler: impl AsyncFn(&App, LambdaEvent<E>) -> Result<R, Error>,
) -> Result<(), Error>
where
    E: DeserializeOwned,
    R: Serialize,
{
    let (answered, answers) = flush::channel();
    let process = Process::begin(function);
    app.control.warm_up().await;
    let extension = flush::hold(app.clone(), answers).await?;
    let process = process.ready();
    let handling = lambda_runtime::run(service_fn(async |event: LambdaEvent<E>| {
        let _answered = flush::Answered::new(&answered);
        let context = process.context(&event.context);
        Box::pin(handler(&app, event)).instrument(context).await
    }));
    tokio::try_join!(handling, extension)?;
    Ok(())
}
