//! Tests of the local stack from outside: through HTTP, the AWS SDK and its own program.

mod build;
mod demo;
mod dynamodb;
mod permissions;
mod probe;
mod program;
mod runtime;
mod secret_pair;
mod sqs;
mod template;
mod triggers;
