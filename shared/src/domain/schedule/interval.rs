//! Operations on time intervals.

/// The time from `from` up to, but not including, `to`, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    pub from: i64,
    pub to: i64,
}

impl Interval {
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    pub fn contains(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// Joins intervals into ascending ones that neither overlap nor touch.
pub fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|it| it.from < it.to);
    intervals.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match merged.last_mut() {
            Some(last) if next.from <= last.to => last.to = last.to.max(next.to),
            _ => merged.push(next),
        }
    }
    merged
}

/// Returns the parts of `from` that are not in `taken`. Both must be merged; the result is, too.
pub fn subtract(from: &[Interval], taken: &[Interval]) -> Vec<Interval> {
    let mut left = Vec::with_capacity(from.len());
    for &whole in from {
        let mut rest = whole;
        for cut in overlapping(taken, whole) {
            if rest.from < cut.from {
                left.push(Interval { from: rest.from, to: cut.from });
            }
            rest.from = cut.to;
        }
        if rest.from < rest.to {
            left.push(rest);
        }
    }
    left
}

/// Returns the merged intervals that overlap `it`.
pub(super) fn overlapping(merged: &[Interval], it: Interval) -> &[Interval] {
    let first = merged.partition_point(|other| other.to <= it.from);
    let rest = &merged[first..];
    &rest[..rest.partition_point(|other| other.from < it.to)]
}

/// Whether one of the merged intervals contains `it`.
pub(super) fn covers(merged: &[Interval], it: Interval) -> bool {
    overlapping(merged, it).first().is_some_and(|window| window.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pairs: &[(i64, i64)]) -> Vec<Interval> {
        pairs.iter().map(|&(from, to)| Interval { from, to }).collect()
    }

    #[test]
    fn adjacent_intervals_merge_and_empty_ones_are_dropped() {
        assert_eq!(merge(at(&[(5, 7), (1, 3), (3, 4), (6, 6), (6, 9)])), at(&[(1, 4), (5, 9)]));
    }

    #[test]
    fn busy_intervals_are_removed_from_every_window() {
        let left = subtract(&at(&[(0, 10), (20, 30)]), &at(&[(2, 4), (8, 22), (29, 40)]));
        assert_eq!(left, at(&[(0, 2), (4, 8), (22, 29)]));
    }

    #[test]
    fn adjacent_intervals_do_not_overlap() {
        let merged = at(&[(0, 10), (20, 30)]);
        assert!(overlapping(&merged, Interval { from: 10, to: 20 }).is_empty());
        assert_eq!(overlapping(&merged, Interval { from: 9, to: 21 }), merged);
        assert!(covers(&merged, Interval { from: 20, to: 30 }));
        assert!(!covers(&merged, Interval { from: 5, to: 25 }));
    }
}
