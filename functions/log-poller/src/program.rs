//! The program of the function.

use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use shared::{
    app::{App, Parts},
    domain::RequestId,
    function::{self, Error},
    tenant::Practices,
};

use crate::{Poll, end_of_run, run};

/// The maximum number of connections to one practice's database.
const CONNECTIONS: u32 = 2;

/// The program of the function.
pub fn main() -> Result<(), Error> {
    function::start(async {
        let practices = Practices::for_background_work(CONNECTIONS);
        let app = App::new(Parts { practices, ..Parts::from_env() });
        function::run(env!("CARGO_PKG_NAME"), app, handle).await
    })
}

async fn handle(app: &App, event: LambdaEvent<Poll>) -> Result<(), Error> {
    let timeout = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX);
    let deadline = end_of_run(app.clock.now(), timeout);
    let request_id = RequestId::parse(&event.context.request_id);
    run(app, event.payload, deadline, request_id.as_ref()).await.map_err(Error::from)
}
