//! A batch of a practice's log: rows that are read, sent and recorded together.
//!
//! Slices are independent of the size of the backlog. An interrupted process causes at most one
//! batch to be sent again.

use jiff::Timestamp;
use shared::sql;
use shared::{
    app::App,
    control::{self, queue::Message},
    domain::{
        PracticePass, RequestId,
        ids::LogId,
        log_progress::{Gap, LogProgress},
    },
    tenant::{
        TenantDb,
        log::{self, LogRow},
    },
};

use crate::{
    events::{Source, count_misfits, messages_of},
    faults,
};

/// The maximum number of late rows, and of new rows, per batch.
const ROWS: usize = 250;
/// The maximum number of rows without an id above 0 that are counted.
const MOST_WITHOUT_IDS: i64 = 1_000;
/// The maximum number of messages per batch. A row with more has a batch of its own.
const MESSAGES: usize = 2_500;
/// The maximum number of ranges of missing ids per query.
pub(crate) const RANGES: usize = 100;

/// The position up to which late rows were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// All existing late rows were read.
    AtEnd,
    /// Late rows up to this id were read.
    After(LogId),
}

/// The result of reading the log.
pub(crate) struct Rows {
    /// The existing rows among those at the ends of the ranges read before.
    pub(crate) ends: Vec<LogRow>,
    /// Rows with ids that were missing before.
    late: Vec<LogRow>,
    pub(crate) late_to: Cut,
    /// Rows above all that were read before.
    new: Vec<LogRow>,
    /// Whether there may be more new rows.
    pub(crate) new_left: bool,
}

impl Rows {
    /// Whether there are new rows above `id`.
    pub(crate) fn any_above(&self, id: LogId) -> bool {
        !self.new.is_empty() || self.late.iter().any(|row| id < row.log_id)
    }
}

/// The gaps to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    None,
    /// The gaps that are likely to be filled.
    Likely,
    All,
}

/// The result of a batch.
pub(crate) struct Sent {
    pub(crate) progress: LogProgress,
    pub(crate) events: usize,
    /// Whether the queue rejected a message.
    pub(crate) refused: bool,
    /// Whether the limit of messages was reached before the end of the rows.
    pub(crate) cut: bool,
    /// The lowest late row that was read but not processed.
    pub(crate) late_open: Option<LogId>,
}

/// Reads the next rows.
///
/// Joined gaps to which rows were added are opened again, and their rows are read as late rows.
pub(crate) async fn read(
    db: &TenantDb,
    progress: &mut LogProgress,
    gaps: Gaps,
    now: Timestamp,
) -> sql::Result<Rows> {
    let mut conn = db.connection().await?;
    if gaps == Gaps::All {
        let (rows, last) = log::without_ids(&mut conn, MOST_WITHOUT_IDS).await?;
        if progress.misfits.count_without_ids(rows, last) {
            faults::rows_without_ids(db.practicepass(), rows, last);
        }
    }
    let (open, joined): (Vec<Gap>, Vec<Gap>) = match gaps {
        Gaps::None => Default::default(),
        _ => progress.gaps_to_read(gaps == Gaps::All, now).partition(|gap| gap.seen == 0),
    };
    let mut ranges: Vec<(LogId, LogId)> = open.iter().map(|gap| (gap.from, gap.to)).collect();
    for joined in joined.chunks(RANGES) {
        let within: Vec<(LogId, LogId)> = joined.iter().map(|gap| (gap.from, gap.to)).collect();
        let counts = log::count_within(&mut conn, &within).await?;
        for (gap, _) in joined.iter().zip(counts).filter(|(gap, count)| gap.seen != *count) {
            progress.reopen(gap.from, now);
            ranges.push((gap.from, gap.to));
        }
    }
    ranges.sort_unstable();
    let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let mut late: Vec<LogRow> = Vec::new();
    for ranges in ranges.chunks(RANGES) {
        let room = limit - i64::try_from(late.len()).unwrap_or(limit);
        if room == 0 {
            break;
        }
        late.extend(log::within(&mut conn, ranges, room).await?);
    }
    let last = late.last().filter(|_| late.len() >= ROWS);
    let late_to = last.map_or(Cut::AtEnd, |row| Cut::After(row.log_id));
    let top = progress.top;
    let mut new = log::above(&mut conn, LogId(top.0 - 1), limit + 1).await?;
    let is_top = new.first().is_some_and(|row| row.log_id == top);
    let mut ends: Vec<LogRow> = new.drain(..usize::from(is_top)).collect();
    let others: Vec<(LogId, LogId)> =
        progress.ends().into_iter().filter(|end| *end != top).map(|end| (end, end)).collect();
    for others in others.chunks(RANGES) {
        ends.extend(log::within(&mut conn, others, limit).await?);
    }
    let new_left = new.len() >= ROWS;
    new.truncate(ROWS);
    Ok(Rows { ends, late, late_to, new, new_left })
}

/// A row, with the range of its messages in the batch.
struct Planned {
    row: LogRow,
    late: bool,
    messages: std::ops::Range<usize>,
}

/// Sends the rows' messages. Progress advances only past rows whose messages were all accepted.
pub(crate) async fn send(
    app: &App,
    practicepass: &PracticePass,
    progress: LogProgress,
    rows: Rows,
    poll: Option<&RequestId>,
    now: Timestamp,
) -> control::Result<Sent> {
    let mut sent = Sent { progress, events: 0, refused: false, cut: false, late_open: None };
    if rows.late.is_empty() && rows.new.is_empty() {
        return Ok(sent);
    }
    // Read after the rows, with strong consistency: a subscription that was made before a row was
    // committed receives the row's event.
    let subscriptions = app.control.subscriptions_of(practicepass).await?;
    let epoch = sent.progress.epoch;
    let source = Source { practicepass, subscriptions: &subscriptions, request_id: poll, epoch, now };
    let late_to = rows.late_to;
    let (mut planned, mut messages): (Vec<Planned>, Vec<Message>) = Default::default();
    let late = rows.late.into_iter().map(|row| (row, true));
    for (row, late) in late.chain(rows.new.into_iter().map(|row| (row, false))) {
        let events = messages_of(&row, &sent.progress, &source);
        if !messages.is_empty() && messages.len() + events.len() > MESSAGES {
            sent.cut = true;
            sent.late_open = late.then_some(row.log_id);
            break;
        }
        let first = messages.len();
        for event in &events {
            messages.push(Message::of_event(event, 0)?);
        }
        let messages = first..messages.len();
        planned.push(Planned { row, late, messages });
    }
    let accepted = app.queue.send(&messages).await?;
    drop(messages);
    sent.events = accepted.iter().filter(|it| **it).count();
    sent.refused = sent.events < accepted.len();
    let mut contiguous = true;
    for Planned { row, late, messages } in planned {
        let accepted = accepted[messages].iter().all(|it| *it);
        let passed = accepted && (late || contiguous);
        match (passed, late) {
            (true, true) => sent.progress.fill(row.log_id, now),
            (true, false) => sent.progress.advance(row.log_id, now),
            (false, true) => {
                sent.late_open = Some(sent.late_open.map_or(row.log_id, |open| open.min(row.log_id)));
            }
            (false, false) => contiguous = false,
        }
        if passed {
            sent.progress.remember(row.log_id, row.print(), now);
            count_misfits(&mut sent.progress.misfits, &row, practicepass);
        }
    }
    let unread = match late_to {
        Cut::AtEnd => sent.late_open,
        Cut::After(id) => Some(sent.late_open.map_or(LogId(id.0 + 1), |open| open.min(id))),
    };
    sent.progress.compact(unread);
    Ok(sent)
}
