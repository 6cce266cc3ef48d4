//! What every function shares, lowest layer first: a module uses only the modules above it in this list.

pub mod auth;
pub mod control;
pub mod domain;
pub mod tenant;
