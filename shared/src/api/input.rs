//! What handlers accept: bodies, queries, paths and headers, read field by field.

mod blank;
pub(super) mod body;
pub(super) mod contact;
pub(super) mod fields;
pub(super) mod paging;
pub(super) mod patch;
pub(super) mod path;
pub(super) mod precondition;
pub(super) mod reading;
pub(super) mod text;
pub(super) mod update;
pub(super) mod values;
