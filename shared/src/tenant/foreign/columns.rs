//! Rows of the EMR's tables.

use jiff::civil::Date;
use sqlx::{FromRow, Row, postgres::PgRow, sqlite::SqliteRow};

use super::{Day, Foreign, FromRaw};
use crate::tenant::Conn;

/// A row of either engine.
pub(crate) trait ForeignRow: Row {
    fn foreign<T: FromRaw>(&self, column: &str) -> sqlx::Result<Foreign<T>>;
}

impl ForeignRow for SqliteRow {
    fn foreign<T: FromRaw>(&self, column: &str) -> sqlx::Result<Foreign<T>> {
        self.try_get(column)
    }
}

impl ForeignRow for PgRow {
    fn foreign<T: FromRaw>(&self, column: &str) -> sqlx::Result<Foreign<T>> {
        self.try_get(column)
    }
}

/// The columns of one row; it remembers whether one of them had no meaning.
pub(crate) struct Columns<'r, R> {
    row: &'r R,
    damaged: bool,
}

/// What a row of one of the EMR's tables is read as.
pub(crate) trait FromColumns: Sized {
    const TABLE: &'static str;
    /// The primary key, or the column of it that names a row to administrators. Never patient data.
    const KEY: &'static str;

    /// `None` when the row is of no use.
    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>>;
}

/// A row with what could be read of it.
#[derive(Clone, Debug)]
pub(crate) struct Read<T> {
    value: Option<T>,
    /// Its key, if it is to be reported.
    problem: Option<String>,
}

impl<R: ForeignRow> Columns<'_, R> {
    /// Any value; what has no meaning is noted.
    pub(crate) fn get<T: FromRaw>(&mut self, column: &str) -> sqlx::Result<Foreign<T>> {
        let value = self.row.foreign(column)?;
        self.damaged |= Foreign::is_problem(&value);
        Ok(value)
    }

    /// A value that may be absent; an unreadable one is absent too.
    pub(crate) fn optional<T: FromRaw>(&mut self, column: &str) -> sqlx::Result<Option<T>> {
        self.get(column).map(Foreign::value)
    }

    /// A value that the row is of no use without.
    pub(crate) fn required<T: FromRaw>(&mut self, column: &str) -> sqlx::Result<Option<T>> {
        let value = self.optional(column)?;
        self.damaged |= value.is_none();
        Ok(value)
    }

    /// A value that has a substitute.
    pub(crate) fn or<T: FromRaw>(&mut self, column: &str, substitute: T) -> sqlx::Result<T> {
        Ok(self.required(column)?.unwrap_or(substitute))
    }

    /// A word of a fixed list.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, column: &str) -> sqlx::Result<Option<T>> {
        let word: Foreign<String> = self.get(column)?;
        let parsed = word.value().and_then(|word| word.parse().ok());
        self.damaged |= parsed.is_none();
        Ok(parsed)
    }

    /// A text; empty when it can't be read.
    pub(crate) fn text(&mut self, column: &str) -> sqlx::Result<String> {
        self.or(column, String::new())
    }

    /// A date; one that no calendar of ours reaches is none.
    pub(crate) fn date(&mut self, column: &str) -> sqlx::Result<Option<Date>> {
        let day: Option<Day> = self.optional(column)?;
        let date = day.and_then(Day::date);
        self.damaged |= day.is_some() && date.is_none();
        Ok(date)
    }

    /// An instant; 1970 when it can't be read.
    pub(crate) fn instant(&mut self, column: &str) -> sqlx::Result<jiff::Timestamp> {
        self.or(column, jiff::Timestamp::UNIX_EPOCH)
    }
}

impl<'r, R: ForeignRow, T: FromColumns> FromRow<'r, R> for Read<T> {
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let mut columns = Columns { row, damaged: false };
        let value = T::from_columns(&mut columns)?;
        let problem = if columns.damaged {
            let key: Foreign<String> = row.foreign(T::KEY)?;
            Some(key.value().unwrap_or_else(|| "(unreadable)".to_owned()))
        } else {
            None
        };
        Ok(Self { value, problem })
    }
}

impl<T: FromColumns> Read<T> {
    /// The row, if it is of use; what was wrong with it is reported.
    pub(crate) fn accept(self, conn: &Conn) -> Option<T> {
        if let Some(key) = &self.problem {
            conn.report_unreadable(T::TABLE, key);
        }
        self.value
    }
}

/// The rows that are of use; what was wrong with any is reported.
pub(crate) fn accept_all<T: FromColumns>(conn: &Conn, rows: Vec<Read<T>>) -> Vec<T> {
    rows.into_iter().filter_map(|row| row.accept(conn)).collect()
}
