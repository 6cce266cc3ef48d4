use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    shared::function::serve_with_fallback(env!("CARGO_PKG_NAME"), meta::routes()).await
}
