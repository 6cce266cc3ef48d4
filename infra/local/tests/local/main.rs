//! Tests of the local stack from outside: through HTTP, through the AWS SDK and through its own program.

mod build;
mod demo;
mod dynamodb;
mod permissions;
mod probe;
mod program;
mod runtime;
mod sqs;
mod template;
mod triggers;
