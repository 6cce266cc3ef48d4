//! Tests of the cursor's operations; `model.rs` tests the whole.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn ranges(progress: &LogProgress) -> Vec<(i64, i64)> {
    progress.gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect()
}

fn stored(progress: &LogProgress) -> usize {
    let text = serde_json::to_string(progress).unwrap();
    assert_eq!(&serde_json::from_str::<LogProgress>(&text).unwrap(), progress);
    text.len()
}

#[test]
fn skipped_ids_are_remembered_until_they_appear() {
    let mut progress = LogProgress::after(LogId(5));
    for id in [6, 9, 10, 14] {
        progress.advance(LogId(id), at(0));
    }
    assert_eq!(ranges(&progress), [(7, 8), (11, 13)]);
    for id in [12, 7, 99] {
        progress.fill(LogId(id), at(1));
    }
    assert_eq!(ranges(&progress), [(8, 8), (11, 11), (13, 13)]);
    progress.fill(LogId(8), at(2));
    assert_eq!(ranges(&progress), [(11, 11), (13, 13)]);
}

#[test]
fn a_gap_is_dropped_only_after_a_day_and_a_thousand_rows_above_it() {
    let mut progress = LogProgress::after(LogId(0));
    let day = 24 * 3600;
    for id in [2, 4] {
        progress.advance(LogId(id), at(0));
    }
    progress.drop_old_gaps(at(2 * day), None);
    assert_eq!(ranges(&progress), [(1, 1), (3, 3)], "rows above them may be outliers");
    (5..1_004).for_each(|id| progress.advance(LogId(id), at(0)));
    progress.drop_old_gaps(at(day), None);
    assert_eq!(ranges(&progress), [(1, 1), (3, 3)]);
    progress.drop_old_gaps(at(day + 1), Some(LogId(1)));
    assert_eq!(ranges(&progress), [(1, 1), (3, 3)], "its row has not been processed yet");
    progress.drop_old_gaps(at(day + 1), Some(LogId(2)));
    assert_eq!(ranges(&progress), [(3, 3)]);
    progress.advance(LogId(1_004), at(0));
    progress.drop_old_gaps(at(day + 1), None);
    assert_eq!((ranges(&progress), progress.incomplete_to), (vec![], LogId(3)));
}

#[test]
fn each_row_in_a_gap_renews_the_gap() {
    let mut progress = LogProgress::after(LogId(0));
    progress.advance(LogId(1_001), at(0));
    for day in 1..30 {
        progress.fill(LogId(day), at(day * 24 * 3600));
        (0..1_000).for_each(|n| progress.advance(LogId(1_000 * (day + 1) + n), at(0)));
        progress.drop_old_gaps(at((day + 1) * 24 * 3600 - 1), None);
        assert_eq!(ranges(&progress)[0], (day + 1, 1_000));
    }
}

#[test]
fn gaps_are_read_at_each_poll_for_ten_minutes_then_once_a_minute() {
    let mut progress = LogProgress::after(LogId(0));
    progress.advance(LogId(2), at(0));
    progress.advance(LogId(20_000), at(0));
    let read = |all, now| progress.gaps_to_read(all, at(now)).map(|gap| gap.from.0).collect::<Vec<_>>();
    assert_eq!(read(false, 600), [1, 3]);
    assert_eq!(read(false, 601), [3], "the row at the position is always read");
    assert_eq!(read(true, 601), [1, 3]);
}

#[test]
fn a_stray_id_is_an_island_and_the_log_continues_below_it() {
    let mut progress = LogProgress::after(LogId(100));
    progress.advance(LogId(101), at(0));
    progress.advance(LogId(i64::MAX), at(0));
    assert_eq!(
        (progress.position(), progress.islands()),
        (LogId(101), vec![(LogId(i64::MAX), LogId(i64::MAX))])
    );
    progress.fill(LogId(103), at(5));
    assert_eq!((progress.position(), &ranges(&progress)[..1]), (LogId(103), &[(102, 102)][..]));
    (104..3_000).for_each(|id| progress.fill(LogId(id), at(10)));
    progress.drop_old_gaps(at(1_000 * 24 * 3600), None);
    assert_eq!(progress.position(), LogId(2_999));
    assert_eq!(ranges(&progress)[1], (3_000, i64::MAX - 1), "however long ago");
    assert!(stored(&progress) < 400);
}

#[test]
fn a_log_that_continues_above_a_jump_moves_its_position_there() {
    let mut progress = LogProgress::after(LogId(100));
    (1..20).for_each(|id| progress.advance(LogId(1_000_000 + id), at(0)));
    assert_eq!(
        (progress.position(), progress.islands()),
        (LogId(100), vec![(LogId(1_000_001), LogId(1_000_019))])
    );
    progress.advance(LogId(1_000_020), at(0));
    assert_eq!((progress.position(), progress.islands()), (LogId(1_000_020), vec![]));
    assert_eq!(ranges(&progress), [(101, 1_000_000)], "rows at the old position are still read");
    progress.fill(LogId(101), at(0));
    assert_eq!(progress.position(), LogId(101), "it continues at the latest row");
}

#[test]
fn a_deleted_island_becomes_a_gap_and_not_a_restart() {
    let mut progress = LogProgress::after(LogId(0));
    for id in [1, 500_000, 900_000, 900_002] {
        progress.advance(LogId(id), at(0));
        progress.remember(LogId(id), 7, at(0));
    }
    assert_eq!(progress.ends(), [1, 500_000, 900_002].map(LogId));
    let there = |ids: &[i64]| ids.iter().map(|id| (LogId(*id), 7)).collect();
    assert!(progress.is_same_log(&there(&[1, 500_000, 900_002]), at(1)));
    assert!(progress.is_same_log(&there(&[1, 900_002]), at(1)));
    assert_eq!(
        (ranges(&progress), progress.islands()),
        (vec![(2, 899_999), (900_001, 900_001)], vec![(LogId(900_000), LogId(900_002))])
    );
    assert!(progress.is_same_log(&there(&[1]), at(1)));
    assert_eq!((ranges(&progress), progress.top), (vec![], LogId(1)));
    assert!(!progress.is_same_log(&there(&[]), at(1)));
}

#[test]
fn a_new_epoch_keeps_the_gaps_below_its_start() {
    let mut progress = LogProgress::after(LogId(0));
    for id in [2, 5, 9] {
        progress.advance(LogId(id), at(0));
        progress.remember(LogId(id), 0, at(0));
    }
    let anew = progress.restarted(LogId(5), LogId(7), at(60));
    assert_eq!(
        (ranges(&anew), anew.top, anew.epoch, anew.epoch_floor),
        (vec![(1, 1), (3, 4)], LogId(5), 1, LogId(7))
    );
    assert_eq!(anew.anchors.ids().collect::<Vec<_>>(), [LogId(2), LogId(5)]);
}

/// Reads ids one by one, and compacts the gaps after every hundredth.
fn read(ids: impl Iterator<Item = i64>) -> (LogProgress, usize) {
    let (mut progress, mut largest) = (LogProgress::after(LogId(0)), 0);
    for (number, id) in ids.enumerate() {
        let now = at(1_800_000_000 + i64::try_from(number).unwrap() / 10);
        progress.advance(LogId(id), now);
        progress.remember(LogId(id), u64::MAX / 3, now);
        if number % 100 == 0 {
            progress.compact(None);
            largest = largest.max(stored(&progress));
        }
    }
    progress.compact(None);
    (progress, largest)
}

#[test]
fn ids_with_increments_caches_or_holes_fit_into_a_small_item() {
    for step in [2, 3, 10, 32, 1_000, 9_999] {
        let (progress, largest) = read((1..=20_000).map(|n| n * step));
        assert!(largest < 10_000, "steps of {step}: {largest} bytes");
        assert_eq!((progress.dropped_gaps, progress.top), (0, LogId(20_000 * step)), "{step}");
        assert_eq!(progress.position(), progress.top, "{step}");
    }
    let (progress, largest) = read((1..=200_000_i64).filter(|n| n.wrapping_mul(2_654_435_761) >> 7 & 3 != 0));
    assert!(largest < 10_000 && progress.dropped_gaps == 0, "{largest} bytes");
}

#[test]
fn the_worst_ids_fit_into_one_item_and_dropped_gaps_are_counted() {
    let mut id = 0;
    let steps = (0..3_000_i64).map(|n| {
        id += 3_000_000_000_000_000 - n * 1_000_003;
        id
    });
    let (mut progress, largest) = read(steps);
    assert!(progress.dropped_gaps > 0);
    for number in 0..100 {
        let name = "\u{1f9b7}".repeat(99);
        progress.misfits.add_unknown(&format!("{number}{name}"), &name, LogId(i64::MAX));
    }
    let size = largest.max(stored(&progress));
    assert!(size < 40_000, "{size} bytes of DynamoDB's 400 KB");
}

#[test]
fn a_joined_gap_counts_its_rows_and_is_reread_as_a_whole() {
    let (mut progress, _) = read((1..=3_000).map(|n| n * 10));
    let joined: Vec<Gap> = progress.gaps.iter().filter(|gap| gap.seen > 0).copied().collect();
    assert!(!joined.is_empty() && progress.gaps.len() <= MOST_GAPS);
    for gap in &joined {
        let rows = (gap.from.0..=gap.to.0).filter(|id| id % 10 == 0).count();
        assert_eq!(gap.seen, rows as u64, "{gap:?}");
    }
    progress.reopen(joined[0].from, at(0));
    assert_eq!(progress.gaps.iter().find(|gap| gap.from == joined[0].from).unwrap().seen, 0);
}

#[test]
fn gaps_with_pending_rows_are_not_joined() {
    let (mut progress, _) = read((1..=3_000).map(|n| n * 10));
    let joined = *progress.gaps.iter().find(|gap| gap.seen > 0).unwrap();
    progress.reopen(joined.from, at(0));
    let dealt_with = (joined.from.0..=joined.to.0).filter(|id| id % 10 == 0).take(100);
    let last = dealt_with.inspect(|id| progress.fill(LogId(*id), at(0))).last().unwrap();
    (1..=600).for_each(|n| progress.advance(LogId(30_000 + n * 10), at(0)));
    progress.compact(Some(LogId(last + 1)));
    let rest = progress.gaps.iter().find(|gap| gap.to == joined.to).unwrap();
    assert_eq!((rest.from.0, rest.seen), (last + 1, 0), "its rows are missing still");
}

#[test]
fn joined_awaited_ranges_count_no_rows_between_them() {
    let mut progress = LogProgress::after(LogId(1_000_000));
    let ranges: Vec<(LogId, LogId)> = (0..600).map(|n| (LogId(100 + 2 * n), LogId(100 + 2 * n))).collect();
    progress.wait_for(&ranges, at(0));
    progress.compact(None);
    assert!(progress.gaps.iter().all(|gap| gap.seen == 0), "ids between them need not have been read");
}

#[test]
fn awaited_ranges_are_clipped_at_the_last_id_and_merged() {
    let mut progress = LogProgress::after(LogId(20));
    progress.wait_for(&[(LogId(15), LogId(16)), (LogId(18), LogId(25)), (LogId(21), LogId(21))], at(0));
    progress.wait_for(&[(LogId(5), LogId(5)), (LogId(16), LogId(18))], at(60));
    assert_eq!(ranges(&progress), [(5, 5), (15, 20)]);
    assert_eq!(progress.gaps[1].first_seen, at(60), "as long as the last of them");
}

#[test]
fn gaps_are_joined_after_a_restart_too() {
    let before = LogProgress::after(LogId(14_000_000));
    let mut progress = before.restarted(LogId(0), LogId(14_000_000), at(0));
    for first in [7, 10, 12] {
        for number in 0..900 {
            let id = LogId(first + 7 * number);
            if id > progress.top { progress.advance(id, at(0)) } else { progress.fill(id, at(0)) }
        }
        progress.compact(None);
    }
    assert_eq!(progress.dropped_gaps, 0);
}
