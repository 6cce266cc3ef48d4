//! Deciding about one row.

use super::Foreign;
use crate::{domain::ids::IntegerId, tenant::Conn};

/// Reads the values of one row and reports the row once if one of them has no meaning.
pub struct RowReader<'c> {
    conn: &'c Conn,
    table: &'static str,
    id: String,
    reported: bool,
}

impl<'c> RowReader<'c> {
    /// `id` is the row's primary key. It is logged and shown to administrators, so it is never patient data.
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

    /// A value that may be absent; an unreadable one is absent too.
    pub fn optional<T>(&mut self, value: Foreign<T>) -> Option<T> {
        if value.is_problem() {
            self.report();
        }
        value.value()
    }

    /// A value that the row is of no use without.
    pub fn required<T>(&mut self, value: Foreign<T>) -> Option<T> {
        let value = self.optional(value);
        if value.is_none() {
            self.report();
        }
        value
    }

    /// A value that has a substitute.
    pub fn or<T>(&mut self, value: Foreign<T>, substitute: T) -> T {
        self.required(value).unwrap_or(substitute)
    }
}
