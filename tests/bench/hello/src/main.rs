//! The smallest `lambda_http` function: the baseline for measuring functions.

use std::convert::Infallible;

use lambda_http::{Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::run(service_fn(async |_: Request| Ok::<_, Infallible>(Response::new("hello".to_owned()))))
        .await
}
