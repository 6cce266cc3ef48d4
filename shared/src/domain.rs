//! Business rules and value types. Nothing here reads a clock, queries a database or speaks HTTP.

pub mod address;
pub mod contact;
pub mod delivery;
pub mod fold;
pub mod idempotency;
pub mod ids;
pub mod lane;
pub mod log_progress;
pub mod money;
pub mod pace;
pub mod practice_fault;
pub mod practice_pass;
pub mod request_id;
pub mod schedule;
pub mod scope;
pub mod search;
pub mod ticket;
pub mod usage;
pub mod visit_status;
pub mod webhook_event;
pub mod zones;

pub use lane::Lane;
pub use practice_fault::PracticeFault;
pub use practice_pass::PracticePass;
pub use request_id::RequestId;
pub use scope::{EventScope, Scope};
