//! Flushes call records and counts after the response is sent, so that no caller waits for them.
//!
//! An internal Lambda extension keeps the environment running until the flush is done. Without it,
//! Lambda may freeze the process as soon as the response is sent (AWS Lambda Developer Guide,
//! "Extensions API"; the runtime project's `extension-internal-flush` example).

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use lambda_extension::{Extension, LambdaEvent, NextEvent};
use lambda_http::{Error, tower::Service};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Mutex, mpsc},
};

use tracing::Instrument;

use super::process::context_of;
use crate::app::App;

pub(super) fn channel() -> (mpsc::UnboundedSender<()>, mpsc::UnboundedReceiver<()>) {
    mpsc::unbounded_channel()
}

/// Registers the extension, and returns the future that runs it.
///
/// Must be called before the first event is requested.
pub(super) async fn register(
    app: App,
    answered: mpsc::UnboundedReceiver<()>,
) -> Result<impl Future<Output = Result<(), Error>>, Error> {
    flush_on_termination(app.clone())?;
    after_each_answer("flush-calls", app, answered, |app| async move { app.flush().await }).await
}

/// As [`register`], to hold the environment until the work in the app's background has ended.
pub(super) async fn hold(
    app: App,
    answered: mpsc::UnboundedReceiver<()>,
) -> Result<impl Future<Output = Result<(), Error>>, Error> {
    after_each_answer("finish-calls", app, answered, |app| async move { app.background.ended().await }).await
}

async fn after_each_answer<W: Future<Output = ()> + Send>(
    name: &'static str,
    app: App,
    answered: mpsc::UnboundedReceiver<()>,
    work: fn(App) -> W,
) -> Result<impl Future<Output = Result<(), Error>>, Error> {
    let answered = Arc::new(Mutex::new(answered));
    let extension = Extension::new()
        .with_extension_name(name)
        .with_events(&["INVOKE"])
        .with_events_processor(lambda_extension::service_fn(move |event: LambdaEvent| {
            let (app, answered) = (app.clone(), answered.clone());
            async move {
                if let NextEvent::Invoke(invocation) = event.next
                    && answered.lock().await.recv().await.is_some()
                {
                    let context = context_of(&invocation.request_id, Some(&invocation.tracing.value));
                    work(app).instrument(context).await;
                }
                Ok::<(), Error>(())
            }
        }))
        .register()
        .await?;
    Ok(extension.run())
}

/// Flushes on SIGTERM, which Lambda sends before it ends an environment with an extension.
fn flush_on_termination(app: App) -> Result<(), Error> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminated.recv().await;
        app.flush().await;
        std::process::exit(0);
    });
    Ok(())
}

/// A service that signals when a response is ready: once per call, even if the call is canceled.
#[derive(Clone)]
pub(super) struct Notify<S> {
    inner: S,
    answered: mpsc::UnboundedSender<()>,
}

impl<S> Notify<S> {
    pub(super) fn new(inner: S, answered: mpsc::UnboundedSender<()>) -> Self {
        Self { inner, answered }
    }
}

/// Tells, when it is dropped, that an invocation has its answer.
pub(super) struct Answered(mpsc::UnboundedSender<()>);

impl Answered {
    pub(super) fn new(answered: &mpsc::UnboundedSender<()>) -> Self {
        Self(answered.clone())
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        // The receiver lives as long as the process.
        let _ = self.0.send(());
    }
}

impl<S, R> Service<R> for Notify<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let answered = Answered::new(&self.answered);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let _answered = answered;
            answer.await
        })
    }
}
