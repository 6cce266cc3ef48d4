use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use migrate::{Task, run};
use shared::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::init_telemetry();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Task>| {
        let deadline = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX);
        // With every task a new app: a connection string that was just replaced must not be a kept one.
        Ok::<_, Error>(run(&App::from_env(), event.payload, deadline).await)
    }))
    .await
}
