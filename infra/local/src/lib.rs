//! The local stack: stands in for AWS when the API runs on one machine.
//!
//! One process emulates API Gateway, the Lambda Runtime API, SQS, DynamoDB, Secrets Manager and
//! schedules on loopback, and runs the functions that are deployed, each in processes of its own.
//! `template.yaml` is the only description of the resources.
//!
//! The stand-ins are our own, so that one command needs neither Docker nor an account, and a
//! missing permission is found before AWS denies the call: calls are checked against the functions'
//! roles. What they cannot evaluate, such as an unknown condition key, stops the stack. Resource
//! policies are not evaluated. A second emulator runs the tests of control plane and queue, so that
//! the code is not tuned to ours.

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
