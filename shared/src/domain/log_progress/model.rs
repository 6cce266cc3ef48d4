//! Simulates a log that does everything a log can do.
//!
//! It is read as the poller reads it, and compared with the rows that were committed.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;

/// A generator of numbers that are the same in every run with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 2).unwrap() % end
    }

    fn one_in(&mut self, number: i64) -> bool {
        self.below(number) == 0
    }
}

/// A sequence with an increment, whose sessions take blocks of ids.
#[derive(Clone)]
struct Sequence {
    next: i64,
    increment: i64,
    cache: i64,
    /// Each session's next id and its number of ids left.
    sessions: [(i64, i64); 3],
}

impl Sequence {
    fn id(&mut self, session: usize) -> i64 {
        let (next, left) = &mut self.sessions[session];
        if *left == 0 {
            (*next, *left) = (self.next, self.cache);
            self.next += self.increment * self.cache;
        }
        let id = *next;
        *next += self.increment;
        *left -= 1;
        id
    }
}

/// Rows by id. Each row's content is a number that no other row has.
type Table = BTreeMap<i64, u64>;

struct ModelLog {
    seed: u64,
    random: Random,
    sequence: Sequence,
    table: Table,
    backup: (Table, Sequence),
    open: Vec<(i64, u64)>,
    rows: u64,
    now: i64,
    progress: LogProgress,
    /// Event ids and the row that each stands for.
    events: HashMap<(u32, i64), u64>,
    sent: HashSet<u64>,
    messages: usize,
    late_left: bool,
}

/// Late rows per poll.
const LATE_ROWS: usize = 25;

impl ModelLog {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let increment = [1, 1, 2, 10, 50][usize::try_from(random.below(5)).unwrap()];
        let cache = [1, 1, 30, 100][usize::try_from(random.below(4)).unwrap()];
        let sequence = Sequence { next: 1, increment, cache, sessions: [(0, 0); 3] };
        Self {
            seed,
            random,
            table: Table::new(),
            backup: (Table::new(), sequence.clone()),
            sequence,
            open: Vec::new(),
            rows: 0,
            now: 1_800_000_000,
            progress: LogProgress::after(LogId(0)),
            events: HashMap::new(),
            sent: HashSet::new(),
            messages: 0,
            late_left: false,
        }
    }

    fn step(&mut self) {
        self.rows += 1;
        let session = usize::try_from(self.random.below(3)).unwrap();
        let row = (self.sequence.id(session), self.rows);
        match self.random.below(20) {
            0 => (),
            1..4 => self.open.push(row),
            _ => self.commit(row),
        }
        if !self.open.is_empty() && self.random.one_in(8) {
            let at = self.random.below(i64::try_from(self.open.len()).unwrap());
            let row = self.open.swap_remove(usize::try_from(at).unwrap());
            self.commit(row);
        }
        if self.random.one_in(300) {
            self.rows += 1;
            let id = self.table.keys().last().unwrap_or(&0) + 100_000 + self.random.below(1 << 50);
            self.commit((id, self.rows));
        }
        if self.random.one_in(150) {
            self.backup = (self.table.clone(), self.sequence.clone());
        }
        self.now +=
            self.random.below(20) + if self.random.one_in(200) { self.random.below(6 * 3600) } else { 0 };
        if self.random.one_in(3) {
            let all = self.random.one_in(5);
            self.poll(all);
        }
    }

    fn commit(&mut self, (id, row): (i64, u64)) {
        // A stray id may take an id that the sequence assigns later.
        self.table.entry(id).or_insert(row);
    }

    /// Does what no sequence does.
    fn break_off(&mut self) {
        self.open.clear();
        match self.random.below(3) {
            0 => (self.table, self.sequence) = self.backup.clone(),
            1 => {
                self.table.clear();
                self.sequence.next = 1;
                self.backup = (Table::new(), self.sequence.clone());
            }
            // Only cleared: ids continue.
            _ => {
                self.poll(true);
                self.table.clear();
            }
        }
        self.sequence.sessions = [(0, 0); 3];
    }

    /// Polls as `log-poller` does.
    fn poll(&mut self, all: bool) {
        let now = Timestamp::from_second(self.now).unwrap();
        if let Some(anew) = self.restart(now) {
            self.progress = anew;
            return self.poll(all);
        }
        let joined: Vec<Gap> =
            self.progress.gaps_to_read(all, now).filter(|gap| gap.seen > 0).copied().collect();
        let mut ranges: Vec<(i64, i64)> = self
            .progress
            .gaps_to_read(all, now)
            .filter(|gap| gap.seen == 0)
            .map(|it| (it.from.0, it.to.0))
            .collect();
        for gap in joined {
            if self.table.range(gap.from.0..=gap.to.0).count() as u64 != gap.seen {
                self.progress.reopen(gap.from, now);
                ranges.push((gap.from.0, gap.to.0));
            }
        }
        let table = &self.table;
        let late: Table = ranges
            .into_iter()
            .flat_map(|(from, to)| table.range(from..=to))
            .map(|(id, row)| (*id, *row))
            .collect();
        // A slice of them, as many as the poller may read at once.
        let mut late = late;
        let rest = late.keys().nth(LATE_ROWS).map(|id| LogId(*id));
        late.retain(|id, _| rest.is_none_or(|rest| *id < rest.0));
        let new: Table = self.table.range(self.progress.top.0 + 1..).map(|(id, row)| (*id, *row)).collect();
        for (id, row) in late {
            self.progress.fill(LogId(id), now);
            self.send(id, row, now);
        }
        for (id, row) in new {
            self.progress.advance(LogId(id), now);
            self.send(id, row, now);
        }
        if all {
            self.progress.drop_old_gaps(now, rest);
        }
        self.progress.compact(rest);
        assert!(self.progress.gaps.len() <= MOST_GAPS + LATE_ROWS);
        let text = serde_json::to_string(&self.progress).unwrap();
        assert!(text.len() < 20_000, "{} bytes", text.len());
        self.progress = serde_json::from_str(&text).unwrap();
        self.late_left = rest.is_some();
    }

    fn restart(&mut self, now: Timestamp) -> Option<LogProgress> {
        let prints =
            |ids: Vec<LogId>| ids.into_iter().filter_map(|id| Some((id, *self.table.get(&id.0)?))).collect();
        let ends = prints(self.progress.ends());
        if self.progress.is_same_log(&ends, now) {
            return None;
        }
        let position = self.progress.position();
        let unread = |id: i64| {
            let gap =
                self.progress.gaps.iter().any(|gap| gap.seen == 0 && (gap.from.0..=gap.to.0).contains(&id));
            self.progress.top.0 < id || gap
        };
        let seen = Sighting {
            prints: prints(self.progress.anchors.ids().collect()),
            any_below: self.table.range(..=position.0).next().is_some(),
            any_above: self.table.range(position.0 + 1..).any(|(id, _)| unread(*id)),
        };
        let after = self.progress.anchors.restart(position, &seen)?;
        let floor = LogId(*self.table.keys().last()?);
        Some(self.progress.clone().restarted(after, floor, now))
    }

    fn send(&mut self, id: i64, row: u64, now: Timestamp) {
        self.progress.remember(LogId(id), row, now);
        let before = self.events.insert((self.progress.epoch, id), row);
        assert!(before.is_none_or(|before| before == row), "seed {}: one event id for two rows", self.seed);
        self.sent.insert(row);
        self.messages += 1;
    }

    /// Checks that every existing row has been sent.
    fn check(&mut self, seed: u64) {
        for round in 0.. {
            self.poll(true);
            assert!(round < 500, "seed {seed}: the same rows again and again");
            if !self.late_left {
                break;
            }
        }
        let missed: Vec<_> = self.table.iter().filter(|(_, row)| !self.sent.contains(row)).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?} missed\n{:?}", self.progress);
    }
}

#[test]
fn every_committed_row_is_sent_and_no_event_id_repeats() {
    let (mut messages, mut rows, mut epochs) = (0, 0, 0);
    for seed in 1..=40 {
        let mut log = ModelLog::new(seed);
        for _ in 0..=(seed % 4) {
            for _ in 0..log.random.below(500) {
                log.step();
            }
            log.check(seed);
            log.break_off();
            // Detected before the log has grown past its old end.
            log.check(seed);
        }
        for row in std::mem::take(&mut log.open) {
            log.commit(row);
        }
        log.check(seed);
        messages += log.messages;
        rows += log.sent.len();
        epochs += log.progress.epoch;
    }
    assert!(epochs > 20, "{epochs}");
    assert!(messages < rows * 2, "{messages} messages of {rows} rows");
}
