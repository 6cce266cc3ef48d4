use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent};
use shared::app::App;
use webhook_fanout::{Lane, deliver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::run_with_background(
        env!("CARGO_PKG_NAME"),
        App::from_env(),
        async |app, event: LambdaEvent<SqsEvent>| Ok(deliver(app, Lane::Fast, event.payload).await),
    )
    .await
}
