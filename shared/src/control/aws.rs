//! The configuration of the AWS clients.

use std::time::Duration;

/// The limit for one attempt of a request.
pub(super) const ATTEMPT: Duration = Duration::from_millis(1_500);

/// Builds a client configuration; the three SDK crates share these types.
///
/// Region and credentials come from Lambda's variables (`AWS_REGION`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`). The SDK's default chain would delay a cold start.
///
/// There are four attempts with short backoffs, the AWS SDKs' setting for DynamoDB: most throttled
/// or failed requests succeed a moment later. One attempt takes at most 1.5 s and all of them 3 s,
/// so that the caller gets an error well before the function times out.
macro_rules! config {
    ($builder:expr, $endpoint_variable:literal) => {{
        use aws_sdk_dynamodb::config::{
            BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig,
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let milliseconds = std::time::Duration::from_millis;
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            variable("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let mut builder = $builder
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .region(Region::new(variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned())))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(4)
                    .with_initial_backoff(milliseconds(50))
                    .with_max_backoff(milliseconds(500)),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(milliseconds(1_000))
                    .operation_attempt_timeout($crate::control::aws::ATTEMPT)
                    .operation_timeout(milliseconds(3_000))
                    .build(),
            );
        builder.set_endpoint_url(variable($endpoint_variable));
        builder.build()
    }};
}
pub(super) use config;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn a_silent_store_times_out_in_three_seconds_and_a_busy_one_gets_four_tries() {
        let config = config!(aws_sdk_dynamodb::Config::builder(), "AWS_ENDPOINT_URL_DYNAMODB");
        let (timeouts, retries) = (config.timeout_config().unwrap(), config.retry_config().unwrap());
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_millis(1_500)));
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(retries.max_attempts(), 4);
    }
}
