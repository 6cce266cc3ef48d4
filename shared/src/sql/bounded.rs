//! SQL literals, for `concat!`, that select columns at a bounded size, whatever the EMR stored.

/// A condition: the text is longer than this number of characters.
///
/// Bytes are counted too, because `SQLite` counts characters only up to the first NUL.
macro_rules! is_long {
    ($column:literal, $most:literal) => {
        concat!("(length(", $column, ") > ", $most, " or octet_length(", $column, ") > 4 * ", $most, ")")
    };
}
pub(crate) use is_long;

/// The text, truncated with an ellipsis if it is longer than the limit.
macro_rules! short_value {
    ($column:literal, $most:literal) => {
        concat!(
            "case when ",
            $crate::sql::bounded::is_long!($column, $most),
            " then substr(",
            $column,
            ", 1, ",
            $most,
            " - 1) || '…' else ",
            $column,
            " end"
        )
    };
}
pub(crate) use short_value;

/// [`short_value!`] under the column's own name.
macro_rules! short {
    ($column:literal, $most:literal) => {
        concat!($crate::sql::bounded::short_value!($column, $most), " as ", $column)
    };
}
pub(crate) use short;
