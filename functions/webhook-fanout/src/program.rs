//! The program of both functions: `WEBHOOK_LANE` says which one it is.

use lambda_runtime::LambdaEvent;
use shared::{
    app::App,
    domain::Lane,
    function::{
        self, Error,
        sqs::{SqsBatchResponse, SqsEvent},
    },
};

use crate::deliver;

/// The program of both functions.
pub fn main() -> Result<(), Error> {
    function::start(async {
        let app = App::from_env();
        match app.config.webhook_lane {
            Lane::Fast => function::run_with_background("webhook-fanout", app, handle).await,
            // It waits for each call, so it has no work in the background.
            Lane::Slow => function::run("slow-fanout", app, handle).await,
        }
    })
}

async fn handle(app: &App, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    Ok(deliver(app, app.config.webhook_lane, event.payload).await)
}
