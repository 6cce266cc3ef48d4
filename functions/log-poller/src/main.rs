use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use log_poller::{Poll, run};
use shared::{
    app::{App, Parts},
    tenant::Practices,
};

/// A run ends by itself this long before Lambda would end it, and at the latest this long after its start, so that the
/// next minute's run finds the practices free.
const BEFORE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_RUN: SignedDuration = SignedDuration::from_secs(55);
/// To one practice's database.
const CONNECTIONS: u32 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::init_telemetry();
    let app = App::new(Parts { practices: Practices::patient(CONNECTIONS), ..Parts::from_env() });
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Poll>| {
        let limit = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX) - BEFORE_TIMEOUT;
        let deadline = limit.min(app.clock.now() + LONGEST_RUN);
        run(&app, event.payload, deadline).await.map_err(Error::from)
    }))
    .await
}
