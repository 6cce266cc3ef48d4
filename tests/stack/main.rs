//! The whole system from outside: the real function binaries behind the local stack, over HTTP.

mod chaos;
mod control;
mod crashes;
mod endpoints;
mod figures;
mod http;
mod main_job;
mod operations;
mod operator;
mod partner;
mod privacy;
mod rotation;
mod running;
