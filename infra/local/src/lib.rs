//! The local stack: stands in for AWS when the API runs on one machine.
//!
//! One process emulates API Gateway, the Lambda Runtime API, SQS, DynamoDB, Secrets Manager and
//! schedules on loopback, and runs the same function binaries that are deployed. `template.yaml`
//! is the only description of the resources.

pub mod binaries;
pub mod cli;
pub mod data_dir;
pub mod demo;
pub mod deployment;
pub mod drill;
pub mod dynamodb;
pub mod emit;
pub mod error;
pub mod gateway;
pub mod invoke;
pub mod permissions;
pub mod practices;
pub mod project;
pub mod running;
pub mod runtime;
pub mod secrets;
pub mod sqs;
pub mod stack;
pub mod template;
pub mod triggers;

mod clock;
mod http;
mod shutdown;

use officepro_operator::{private_file, random};
