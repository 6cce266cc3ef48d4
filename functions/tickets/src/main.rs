use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::serve(env!("CARGO_PKG_NAME"), tickets::routes()).await
}
