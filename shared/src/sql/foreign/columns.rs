//! Decodes rows of the EMR's tables.

use jiff::civil::Date;
use sqlx::{FromRow, Row, postgres::PgRow, sqlite::SqliteRow};

use super::{Day, Foreign, FromRaw};
use crate::sql::Conn;

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

/// The columns of one row; records whether one of them was unreadable.
pub(crate) struct Columns<'r, R> {
    row: &'r R,
    damaged: bool,
}

/// A type that rows of one of the EMR's tables are decoded to.
pub(crate) trait FromColumns: Sized {
    const TABLE: &'static str;
    /// The primary key, or the part of it that identifies a row to administrators.
    ///
    /// Never patient data.
    const KEY: &'static str;

    /// Decodes a row; `None` if the row is unusable.
    fn from_columns<R: ForeignRow>(columns: &mut Columns<'_, R>) -> sqlx::Result<Option<Self>>;
}

/// A row, as far as it could be decoded.
#[derive(Clone, Debug)]
pub(crate) struct Read<T> {
    value: Option<T>,
    /// The row's key, if the row is to be reported.
    problem: Option<String>,
}

impl<R: ForeignRow> Columns<'_, R> {
    /// Returns any value; records an unreadable one.
    pub(crate) fn get<T: FromRaw>(&mut self, column: &str) -> sqlx::Result<Foreign<T>> {
        let value = self.row.foreign(column)?;
        self.damaged |= Foreign::is_problem(&value);
        Ok(value)
    }

    /// Returns an optional value; `None` if it is null or unreadable.
    pub(crate) fn optional<T: FromRaw>(&mut self, column: &str) -> sqlx::Result<Option<T>> {
        self.get(column).map(Foreign::value)
    }

    /// Returns a value that the row needs to be usable.
    pub(crate) fn required<T: FromRaw>(&mut self, column: &str) -> sqlx::Result<Option<T>> {
        let value = self.optional(column)?;
        self.damaged |= value.is_none();
        Ok(value)
    }

    /// Returns a value, or the substitute if it is missing.
    pub(crate) fn or<T: FromRaw>(&mut self, column: &str, substitute: T) -> sqlx::Result<T> {
        Ok(self.required(column)?.unwrap_or(substitute))
    }

    /// Returns a keyword of a fixed list.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, column: &str) -> sqlx::Result<Option<T>> {
        let word: Foreign<String> = self.get(column)?;
        let parsed = word.value().and_then(|word| word.parse().ok());
        self.damaged |= parsed.is_none();
        Ok(parsed)
    }

    /// Returns a text; empty if it is unreadable.
    pub(crate) fn text(&mut self, column: &str) -> sqlx::Result<String> {
        self.or(column, String::new())
    }

    /// Returns a date; `None` for one outside the calendar.
    pub(crate) fn date(&mut self, column: &str) -> sqlx::Result<Option<Date>> {
        let day: Option<Day> = self.optional(column)?;
        let date = day.and_then(Day::date);
        self.damaged |= day.is_some() && date.is_none();
        Ok(date)
    }

    /// Returns an instant; 1970-01-01 if it is unreadable.
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
    /// Returns the row if it is usable; reports problems with it.
    pub(crate) fn accept(self, conn: &Conn) -> Option<T> {
        if let Some(key) = &self.problem {
            conn.report_unreadable(T::TABLE, key);
        }
        self.value
    }
}

/// Returns the usable rows; reports problems with any of them.
pub(crate) fn accept_all<T: FromColumns>(conn: &Conn, rows: Vec<Read<T>>) -> Vec<T> {
    rows.into_iter().filter_map(|row| row.accept(conn)).collect()
}
