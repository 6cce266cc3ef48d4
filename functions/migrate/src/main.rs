use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use migrate::{Task, run};
use shared::app::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::run(env!("CARGO_PKG_NAME"), App::from_env(), async |_, event: LambdaEvent<Task>| {
        let deadline = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX);
        // Create a new app for every task, so that no cached connection string is used after a
        // replacement.
        Ok(run(&App::from_env(), event.payload, deadline).await)
    })
    .await
}
