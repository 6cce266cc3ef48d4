//! What handlers return: replies, problems, and the limits of their sizes.

pub mod fit;
pub(super) mod reply;
pub(super) mod visit_conflict;
