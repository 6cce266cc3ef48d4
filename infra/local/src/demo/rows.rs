//! SQL text of the demo rows.
//!
//! Rows are written as literals, because the same text then serves both engines without their
//! limits on bound values. The text consists only of this module's own words and numbers; no
//! outside input reaches it.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::{Date, Time};

/// Maximum number of rows per statement.
const CHUNK: usize = 500;

/// A value as a SQL literal.
pub(super) struct Literal(String);

macro_rules! literals {
    ($($type:ty => |$value:ident| $sql:expr;)+) => {$(
        impl From<$type> for Literal {
            fn from($value: $type) -> Self {
                Self($sql)
            }
        }
    )+};
}

literals! {
    i64 => |value| value.to_string();
    bool => |value| value.to_string();
    &str => |value| format!("'{}'", value.replace('\'', "''"));
    String => |value| Literal::from(value.as_str()).0;
    &String => |value| Literal::from(value.as_str()).0;
    Date => |value| format!("'{value}'");
    Time => |value| format!("'{value}'");
    Timestamp => |value| format!("'{value}'");
}

impl<T: Into<Self>> From<Option<T>> for Literal {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Self("null".to_owned()), Into::into)
    }
}

/// One row, its values in the order of the columns.
pub(super) type Row = Vec<Literal>;

macro_rules! row {
    ($($value:expr),+ $(,)?) => {
        vec![$($crate::demo::rows::Literal::from($value)),+]
    };
}
pub(super) use row;

/// Insert statements.
#[derive(Default)]
pub(super) struct Script(String);

impl Script {
    /// Adds rows; `into` is the table with its columns, e.g. `tags (tag_id, name)`.
    pub(super) fn insert(&mut self, into: &str, rows: &[Row]) {
        for chunk in rows.chunks(CHUNK) {
            for (number, row) in chunk.iter().enumerate() {
                if number == 0 {
                    let _ = write!(self.0, "insert into {into} values\n(");
                } else {
                    self.0.push_str(",\n(");
                }
                for (column, literal) in row.iter().enumerate() {
                    let _ = write!(self.0, "{}{}", if column == 0 { "" } else { ", " }, literal.0);
                }
                self.0.push(')');
            }
            self.0.push_str(";\n");
        }
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_in_a_form_both_engines_read() {
        let mut script = Script::default();
        let date = jiff::civil::date(2026, 3, 9);
        script.insert("t (a, b, c, d)", &[row![1, "O'Brien", None::<i64>, date], row![2, "x", true, date]]);
        let expected = "insert into t (a, b, c, d) values\n(1, 'O''Brien', null, '2026-03-09'),\n(2, 'x', \
            true, '2026-03-09');\n";
        assert_eq!(script.text(), expected);
    }

    #[test]
    fn many_rows_are_split_into_several_statements() {
        let mut script = Script::default();
        let rows: Vec<Row> = (0..1001).map(|number: i64| row![number]).collect();
        script.insert("t (a)", &rows);
        assert_eq!(script.text().matches("insert into").count(), 3);
    }
}
