use lambda_runtime::{Error, LambdaEvent};
use shared::{
    app::App,
    domain::Lane,
    function::{run, run_with_background, sqs::SqsEvent},
};
use webhook_fanout::deliver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env();
    let handler = async |app: &App, event: LambdaEvent<SqsEvent>| {
        Ok(deliver(app, app.config.webhook_lane, event.payload).await)
    };
    match app.config.webhook_lane {
        Lane::Fast => run_with_background("webhook-fanout", app, handler).await,
        // It waits for each call, so it has no work in the background.
        Lane::Slow => run("slow-fanout", app, handler).await,
    }
}
