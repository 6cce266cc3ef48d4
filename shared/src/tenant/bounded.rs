//! Selected columns whose size is bounded, whatever the EMR's programs wrote into them: SQL as literals, for `concat!`.

/// A condition: the text has more than so many characters. Bytes are counted too, because `SQLite` counts characters up to the first
/// NUL only.
macro_rules! is_long {
    ($column:literal, $most:literal) => {
        concat!("(length(", $column, ") > ", $most, " or octet_length(", $column, ") > 4 * ", $most, ")")
    };
}
pub(crate) use is_long;

/// The text as it is, or the beginning of a longer one with an ellipsis.
macro_rules! short_value {
    ($column:literal, $most:literal) => {
        concat!(
            "case when ",
            $crate::tenant::bounded::is_long!($column, $most),
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
        concat!($crate::tenant::bounded::short_value!($column, $most), " as ", $column)
    };
}
pub(crate) use short;
