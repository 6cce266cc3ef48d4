//! The local stack: what stands in for AWS when the API runs on one machine.
//!
//! One process serves API Gateway, the Lambda Runtime API, SQS, DynamoDB and schedules on loopback, and runs the very
//! function binaries that are deployed. template.yaml is the only description of what there is.

pub mod dynamodb;
pub mod error;
pub mod gateway;
pub mod runtime;
pub mod sqs;
pub mod template;

mod clock;
mod http;
mod random;
mod shutdown;
