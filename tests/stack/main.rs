//! The whole system from outside: the real function binaries behind the local stack, over HTTP.

mod chaos;
mod control;
mod crashes;
mod database_gate;
mod dead_letters;
mod disk;
mod edge;
mod endpoints;
mod figures;
mod http;
mod load;
mod main_job;
mod overload;
mod operations;
mod operator;
mod partner;
mod permissions;
mod privacy;
mod rotation;
mod redeploy;
mod running;
mod stalled_database;
mod store_faults;
mod store_gate;
mod telemetry;
mod wait;
