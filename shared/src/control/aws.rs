//! How the AWS clients are configured.

/// Region and credentials as Lambda gives them (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`), read without the SDK's default chain, which a cold start would wait for.
///
/// One attempt takes at most 3 s, all of them 8 s. The three SDK crates share these types.
macro_rules! config {
    ($builder:expr, $endpoint_variable:literal) => {{
        use aws_sdk_dynamodb::config::{
            BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig,
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let seconds = std::time::Duration::from_secs;
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
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(seconds(2))
                    .operation_attempt_timeout(seconds(3))
                    .operation_timeout(seconds(8))
                    .build(),
            );
        builder.set_endpoint_url(variable($endpoint_variable));
        builder.build()
    }};
}
pub(super) use config;
