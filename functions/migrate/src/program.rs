//! The program of the function.

use jiff::Timestamp;
use lambda_runtime::LambdaEvent;
use shared::{
    app::App,
    function::{self, Error},
};

use crate::{Task, run};

/// The program of the function.
pub fn main() -> Result<(), Error> {
    function::start(async {
        function::run(env!("CARGO_PKG_NAME"), App::from_env(), async |_, event: LambdaEvent<Task>| {
            let deadline = Timestamp::try_from(event.context.deadline()).unwrap_or(Timestamp::MAX);
            // Create a new app for every task, so that no cached connection string is used after a
            // replacement.
            Ok(run(&App::from_env(), event.payload, deadline).await)
        })
        .await
    })
}
