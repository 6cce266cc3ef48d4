//! The whole system from outside: the real function binaries behind the local stack, over HTTP.

mod crashes;
mod http;
mod main_job;
mod partner;
mod running;
