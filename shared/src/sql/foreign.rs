//! Decodes values that the EMR's own programs wrote.
//!
//! The EMR owns its tables, so every value that a column's type allows is read: `24:00`,
//! `infinity`, `9:00`, `2026-11-01 10:00:00`, and on `SQLite`, whose columns take any type, numbers
//! stored as text and text stored as blobs. Decoding never fails: a value without a meaning becomes
//! [`Foreign::Unreadable`], so that one row cannot turn a request for another row into an error.
//! Each table's module implements [`FromColumns`] to decide which rows are usable; [`accept_all`]
//! reports the others.

mod columns;
mod engines;
mod order;
mod reader;
mod times;
mod values;

pub(crate) use columns::{Columns, ForeignRow, FromColumns, Read, accept_all};
pub(crate) use order::{instant_order, is_true};
pub use reader::RowReader;
pub(crate) use times::names_a_day;
pub use times::{Day, TimeOfDay};
pub(crate) use values::Key;

/// One value of a column that the EMR may write. Decodes from any value of either engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign<T> {
    Null,
    Value(T),
    /// Decoded with a loss, e.g. bytes that are not UTF-8 became U+FFFD. Worth reporting.
    Damaged(T),
    /// The value has no meaning for this type.
    Unreadable,
}

/// A value as the database stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw<'r> {
    Integer(i64),
    Real(f64),
    Boolean(bool),
    /// UTF-8, unless the EMR stored other bytes.
    Text(&'r [u8]),
    Blob(&'r [u8]),
    /// Days since 2000-01-01; the extremes are `PostgreSQL`'s infinities.
    Days(i32),
    /// Microseconds since midnight, up to and including 24:00.
    Microseconds(i64),
    /// Microseconds since 2000-01-01 00:00 UTC; the extremes are `PostgreSQL`'s infinities.
    Instant(i64),
    /// A value of a type that no column in the schema has.
    Other,
}

/// A type that foreign values are decoded to.
pub(crate) trait FromRaw: Sized {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self>;
}

impl<T> Foreign<T> {
    /// Returns the value, if it is readable.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) | Self::Damaged(value) => Some(value),
            Self::Null | Self::Unreadable => None,
        }
    }

    /// Whether the row should be reported. Null is not a problem: the column may allow it.
    pub fn is_problem(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Unreadable)
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Foreign<U> {
        match self {
            Self::Null => Foreign::Null,
            Self::Value(value) => Foreign::Value(change(value)),
            Self::Damaged(value) => Foreign::Damaged(change(value)),
            Self::Unreadable => Foreign::Unreadable,
        }
    }

    /// Converts the value; it becomes unreadable where the conversion fails.
    pub fn and_then<U>(self, parse: impl FnOnce(T) -> Option<U>) -> Foreign<U> {
        match self {
            Self::Null => Foreign::Null,
            Self::Value(value) => parse(value).map_or(Foreign::Unreadable, Foreign::Value),
            Self::Damaged(value) => parse(value).map_or(Foreign::Unreadable, Foreign::Damaged),
            Self::Unreadable => Foreign::Unreadable,
        }
    }
}
