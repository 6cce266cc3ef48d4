use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::app::App;
use webhook_fanout::{Lane, deliver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::init_telemetry();
    let app = App::from_env();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(deliver(&app, Lane::Fast, event.payload).await)
    }))
    .await
}
