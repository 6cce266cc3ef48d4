//! Code that all functions share. The lowest layer comes first: a module uses only modules that
//! stand earlier in this list.

pub mod domain;
pub mod telemetry;
pub mod auth;
pub mod egress;
pub mod sql;
pub mod tenant;
pub mod catalog;
pub mod control;
pub mod config;
pub mod app;
pub mod webhook_delivery;
pub mod api;
pub mod usage_report;
pub mod webhook_operations;
pub mod function;
