//! Reads the values of one row.

use super::Foreign;
use crate::{domain::ids::IntegerId, sql::Conn};

/// Reads the values of one row and reports the row once if one of them is unreadable.
pub struct RowReader<'c> {
    conn: &'c Conn,
    table: &'static str,
    id: String,
    reported: bool,
}

impl<'c> RowReader<'c> {
    /// Creates a reader.
    ///
    /// `id` is the row's primary key. It is logged and shown to administrators, so it must never be
    /// patient data.
    pub fn new(conn: &'c Conn, table: &'static str, id: impl IntegerId) -> Self {
        Self { conn, table, id: id.get().to_string(), reported: false }
    }

    /// Reports the row to the practice's administrators.
    pub fn report(&mut self) {
        if !self.reported {
            self.reported = true;
            self.conn.report_unreadable(self.table, &self.id);
        }
    }

    /// Returns an optional value; `None` if it is null or unreadable.
    pub fn optional<T>(&mut self, value: Foreign<T>) -> Option<T> {
        if value.is_problem() {
            self.report();
        }
        value.value()
    }

    /// Returns a value that the row needs to be usable; reports the row if it is missing.
    pub fn required<T>(&mut self, value: Foreign<T>) -> Option<T> {
        let value = self.optional(value);
        if value.is_none() {
            self.report();
        }
        value
    }

    /// Returns a value, or the substitute if it is missing.
    pub fn or<T>(&mut self, value: Foreign<T>, substitute: T) -> T {
        self.required(value).unwrap_or(substitute)
    }
}
