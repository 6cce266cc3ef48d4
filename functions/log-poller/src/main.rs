use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent};
use log_poller::{Poll, run};
use shared::{
    app::{App, Parts},
    domain::RequestId,
    tenant::Practices,
};

/// How long before its Lambda timeout a run ends.
///
/// It also ends [`LONGEST_RUN`] after its start, so that the next minute's run finds the practices
/// free.
const BEFORE_TIMEOUT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_RUN: SignedDuration = SignedDuration::from_secs(55);
/// The maximum number of connections to one practice's database.
const CONNECTIONS: u32 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::new(Parts { practices: Practices::patient(CONNECTIONS), ..Parts::from_env() });
    shared::function::run(env!("CARGO_PKG_NAME"), app, async |app, event: LambdaEvent<Poll>| {
        let limit = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX) - BEFORE_TIMEOUT;
        let deadline = limit.min(app.clock.now() + LONGEST_RUN);
        let request_id = RequestId::parse(&event.context.request_id);
        run(app, event.payload, deadline, request_id.as_ref()).await.map_err(Error::from)
    })
    .await
}
