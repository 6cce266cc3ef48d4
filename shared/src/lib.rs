//! What every function shares, lowest layer first: a module uses only the modules above it in this list.

pub mod api;
pub mod app;
pub mod auth;
pub mod config;
pub mod control;
pub mod domain;
pub mod egress;
pub mod function;
pub mod tenant;
