//! Values that the EMR's own programs wrote: the one place that decodes them.
//!
//! The EMR owns its tables, so every value that a column's type allows is read: `24:00`, `infinity`, `9:00`,
//! `2026-11-01 10:00:00`, and on `SQLite`, whose columns take any type, numbers as texts and texts as blobs. Decoding never
//! fails: a value that has no meaning is [`Foreign::Unreadable`], so that one row can't turn another one's request into an
//! error. A table's module says by [`FromColumns`] what its rows are of use for; [`accept_all`] reports the others.

mod columns;
mod engines;
mod order;
mod reader;
mod values;

pub(crate) use columns::{Columns, ForeignRow, FromColumns, Read, accept_all};
pub(crate) use order::{instant_order, is_true};
pub use reader::RowReader;
pub use values::{Day, TimeOfDay};
pub(crate) use values::{Key, names_a_day};

/// One value of a column that the EMR may write. Decodes from any value of either engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign<T> {
    Null,
    Value(T),
    /// Read with a loss, e.g. bytes that are not UTF-8 as U+FFFD. Worth a report.
    Damaged(T),
    /// It has no meaning for this type.
    Unreadable,
}

/// A value as the database holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw<'r> {
    Integer(i64),
    Real(f64),
    Boolean(bool),
    /// UTF-8, unless the EMR wrote other bytes.
    Text(&'r [u8]),
    Blob(&'r [u8]),
    /// Days since 2000-01-01; the extremes are `PostgreSQL`'s infinities.
    Days(i32),
    /// Microseconds since midnight, up to and including 24:00.
    Microseconds(i64),
    /// Microseconds since 2000-01-01 00:00 UTC; the extremes are `PostgreSQL`'s infinities.
    Instant(i64),
    /// Of a type that no column of ours has.
    Other,
}

/// A type that foreign values are decoded as.
pub(crate) trait FromRaw: Sized {
    fn from_raw(raw: Raw<'_>) -> Foreign<Self>;
}

impl<T> Foreign<T> {
    /// The value, if there is one that can be read.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) | Self::Damaged(value) => Some(value),
            Self::Null | Self::Unreadable => None,
        }
    }

    /// Whether the row deserves a report: null isn't a problem of a column that allows it.
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

    /// The value as another type, unreadable where it is none.
    pub fn and_then<U>(self, parse: impl FnOnce(T) -> Option<U>) -> Foreign<U> {
        match self {
            Self::Null => Foreign::Null,
            Self::Value(value) => parse(value).map_or(Foreign::Unreadable, Foreign::Value),
            Self::Damaged(value) => parse(value).map_or(Foreign::Unreadable, Foreign::Damaged),
            Self::Unreadable => Foreign::Unreadable,
        }
    }
}
