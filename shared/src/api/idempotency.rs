//! Requests that may be sent again: the first response is stored and replayed.

pub(super) mod once;
pub(super) mod sealed;
