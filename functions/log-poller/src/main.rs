use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use log_poller::{Poll, end_of_run, run};
use shared::{
    app::{App, Parts},
    domain::RequestId,
    tenant::Practices,
};

/// The maximum number of connections to one practice's database.
const CONNECTIONS: u32 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::new(Parts { practices: Practices::for_background_work(CONNECTIONS), ..Parts::from_env() });
    shared::function::run(env!("CARGO_PKG_NAME"), app, async |app, event: LambdaEvent<Poll>| {
        let timeout = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX);
        let deadline = end_of_run(app.clock.now(), timeout);
        let request_id = RequestId::parse(&event.context.request_id);
        run(app, event.payload, deadline, request_id.as_ref()).await.map_err(Error::from)
    })
    .await
}
