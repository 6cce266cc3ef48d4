//! Who calls, and what that allows: the extractors of the handlers.

pub(super) mod admin;
pub(super) mod admin_secret;
pub(super) mod audit;
pub(super) mod caller;
pub(super) mod catalog;
pub(super) mod portal;
pub(super) mod session;
pub(super) mod viewer;
