//! Pages of lists whose length can be any.

use super::{
    Conn,
    foreign::{FromColumns, Read, accept_all},
};

/// The most rows that a list counts. Beyond that, its length is a lower bound.
///
/// It bounds the cost of a list, however many rows the EMR has.
pub const MOST_COUNTED: i64 = 10_000;

/// The rows of one page of a list.
#[derive(Clone, Debug)]
pub struct PageRows<T> {
    /// The usable rows.
    pub rows: Vec<T>,
    /// Whether more rows follow.
    pub has_more: bool,
    offset: i64,
    /// How many rows the page covers, unusable ones included.
    covered: i64,
}

/// The length of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    pub rows: i64,
    /// Whether the list may be longer.
    pub is_at_least: bool,
}

impl<T> PageRows<T> {
    /// Takes the rows that were read: up to `limit`, and one more if others follow.
    pub(crate) fn accept(conn: &Conn, mut read: Vec<Read<T>>, (limit, offset): (i64, i64)) -> Self
    where
        T: FromColumns,
    {
        let most = usize::try_from(limit).unwrap_or_default();
        let has_more = read.len() > most;
        read.truncate(most);
        let covered = i64::try_from(read.len()).unwrap_or(i64::MAX);
        Self { rows: accept_all(conn, read), has_more, offset, covered }
    }

    /// Returns the list's length if the page shows where the list ends.
    ///
    /// Otherwise the caller counts, up to one more than [`MOST_COUNTED`]; see [`Self::counted`].
    pub fn length(&self) -> Option<Length> {
        // A page beyond the end does not show where the list ends.
        let shows_end = !self.has_more && (self.covered > 0 || self.offset == 0);
        shows_end.then_some(Length { rows: self.offset + self.covered, is_at_least: false })
    }

    /// Returns the list's length for a number of rows that was counted.
    pub fn counted(&self, rows: i64) -> Length {
        // The page was read a moment before.
        let seen = if self.covered == 0 { 0 } else { self.offset + self.covered + i64::from(self.has_more) };
        Length { rows: rows.min(MOST_COUNTED).max(seen), is_at_least: rows > MOST_COUNTED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(offset: i64, covered: i64, has_more: bool) -> PageRows<()> {
        PageRows { rows: Vec::new(), has_more, offset, covered }
    }

    fn exactly(rows: i64) -> Length {
        Length { rows, is_at_least: false }
    }

    #[test]
    fn a_last_page_shows_the_length_and_no_other_page_does() {
        assert_eq!(page(0, 0, false).length(), Some(exactly(0)));
        assert_eq!(page(50, 3, false).length(), Some(exactly(53)));
        assert_eq!(page(1_000_000, 25, false).length(), Some(exactly(1_000_025)));
        assert_eq!(page(0, 25, true).length(), None);
        assert_eq!(page(50, 0, false).length(), None);
    }

    #[test]
    fn a_length_is_exact_up_to_the_limit_and_always_beyond_the_page_that_has_more() {
        let at_least = |rows| Length { rows, is_at_least: true };
        assert_eq!(page(0, 25, true).counted(MOST_COUNTED), exactly(10_000));
        assert_eq!(page(0, 25, true).counted(MOST_COUNTED + 1), at_least(10_000));
        assert_eq!(page(9_975, 25, true).counted(MOST_COUNTED + 1), at_least(10_001));
        assert_eq!(page(50_000, 25, true).counted(MOST_COUNTED + 1), at_least(50_026));
        assert_eq!(page(50_000, 0, false).counted(MOST_COUNTED + 1), at_least(10_000));
        assert_eq!(page(50, 0, false).counted(7), exactly(7));
        // Rows were deleted between page and count.
        assert_eq!(page(0, 25, true).counted(20), exactly(26));
    }
}
