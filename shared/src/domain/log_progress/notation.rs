//! Rows of a few small numbers as text: `9,9 1,9,0,1`.

/// Writes the rows, omitting trailing zeros.
pub(super) fn write<const N: usize>(rows: impl Iterator<Item = [i64; N]>) -> String {
    let rows = rows.map(|row| {
        let end = row.iter().rposition(|number| *number != 0).unwrap_or(0);
        row[..=end].iter().map(i64::to_string).collect::<Vec<_>>().join(",")
    });
    rows.collect::<Vec<_>>().join(" ")
}

pub(super) fn read<const N: usize>(text: &str) -> Option<Vec<[i64; N]>> {
    let row = |text: &str| {
        let mut row = [0; N];
        for (index, number) in text.split(',').enumerate() {
            *row.get_mut(index)? = number.parse().ok()?;
        }
        Some(row)
    };
    text.split_whitespace().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_rows_parse_back() {
        let rows = [[1, 0, 0], [0, 0, 0], [i64::MAX, i64::MIN, -3], [0, 7, 0]];
        let text = write(rows.into_iter());
        assert_eq!(text, "1 0 9223372036854775807,-9223372036854775808,-3 0,7");
        assert_eq!(read::<3>(&text).unwrap(), rows);
        assert_eq!(read::<3>("").unwrap(), Vec::<[i64; 3]>::new());
        assert_eq!(read::<3>("1,2,3,4"), None);
        assert_eq!(read::<3>("1,x"), None);
    }
}
