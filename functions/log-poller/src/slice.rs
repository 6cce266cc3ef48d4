//! A slice of a practice's log: so much is read, sent and put on record at once, whatever the backlog. What a process that
//! is cut off sends again is one slice at most.

use jiff::Timestamp;
use shared::{
    app::App,
    control::{self, queue::Message},
    domain::{PracticePass, RequestId, ids::LogId, log_progress::LogProgress},
    tenant::{
        self, TenantDb,
        log::{self, LogRow},
    },
};

use crate::events::messages_of;

/// Rows read at once of those that come late, and of new ones.
const ROWS: usize = 250;
/// Messages of one slice; a row that has more is a slice of its own.
const MESSAGES: usize = 2_500;
/// Ranges of missing ids asked for at once.
const RANGES: usize = 100;

/// How far late rows were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// All that are there.
    AtEnd,
    /// Those up to this id.
    After(LogId),
}

/// What a read of the log brought.
pub(crate) struct Rows {
    /// With ids that were missing before.
    late: Vec<LogRow>,
    pub(crate) late_to: Cut,
    /// Above all that was read.
    new: Vec<LogRow>,
    /// Whether there may be more of them.
    pub(crate) new_left: bool,
}

/// What became of a slice.
pub(crate) struct Sent {
    pub(crate) progress: LogProgress,
    pub(crate) events: usize,
    /// The queue didn't accept every message.
    pub(crate) refused: bool,
    /// The slice's messages were enough before its rows were at their end.
    pub(crate) cut: bool,
    /// Late rows wait, for want of room for more gaps.
    pub(crate) stuck: bool,
    /// The lowest late row that was read and not dealt with.
    pub(crate) late_open: Option<LogId>,
}

pub(crate) async fn read(db: &TenantDb, progress: &LogProgress, late_wanted: bool) -> tenant::Result<Rows> {
    let mut conn = db.connection().await?;
    let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let ranges: Vec<(LogId, LogId)> = progress.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
    let mut late: Vec<LogRow> = Vec::new();
    for ranges in ranges.chunks(RANGES).take_while(|_| late_wanted) {
        let room = limit - i64::try_from(late.len()).unwrap_or(limit);
        if room == 0 {
            break;
        }
        late.extend(log::within(&mut conn, ranges, room).await?);
    }
    let last = late.last().filter(|_| late.len() >= ROWS);
    let late_to = last.map_or(Cut::AtEnd, |row| Cut::After(row.log_id));
    let new = log::above(&mut conn, progress.last_log_id, limit).await?;
    let new_left = new.len() >= ROWS;
    Ok(Rows { late, late_to, new, new_left })
}

/// A row with the place of its messages among the slice's.
struct Planned {
    log_id: LogId,
    late: bool,
    unreadable: bool,
    messages: std::ops::Range<usize>,
}

/// Sends the rows' messages. Progress goes only as far as every message of every row was accepted.
pub(crate) async fn send(
    app: &App,
    practicepass: &PracticePass,
    progress: LogProgress,
    rows: Rows,
    poll: Option<&RequestId>,
    now: Timestamp,
) -> control::Result<Sent> {
    let mut sent = Sent { progress, events: 0, refused: false, cut: false, stuck: false, late_open: None };
    if rows.late.is_empty() && rows.new.is_empty() {
        return Ok(sent);
    }
    // Read after the rows, and strongly: who signed up before a row was committed gets it.
    let subscriptions = app.control.subscriptions_of(practicepass).await?;
    // A trial, for no row is to be sent that couldn't be put on record afterwards.
    let mut trial = sent.progress.clone();
    let (mut planned, mut messages): (Vec<Planned>, Vec<Message>) = Default::default();
    let late = rows.late.iter().map(|row| (row, true));
    for (row, late) in late.chain(rows.new.iter().map(|row| (row, false))) {
        if late && sent.stuck {
            continue;
        }
        let events = messages_of(practicepass, row, &subscriptions, poll);
        sent.cut = !messages.is_empty() && messages.len() + events.len() > MESSAGES;
        let fits = !sent.cut && if late { trial.fill(row.log_id) } else { trial.advance(row.log_id, now) };
        if !fits && late {
            sent.late_open.get_or_insert(row.log_id);
            sent.stuck = !sent.cut;
        }
        match fits {
            true => (),
            false if late && !sent.cut => continue,
            false => break,
        }
        let first = messages.len();
        for event in &events {
            messages.push(Message::of_event(event, 0)?);
        }
        let messages = first..messages.len();
        planned.push(Planned { log_id: row.log_id, late, unreadable: row.entry.is_none(), messages });
    }
    let accepted = app.queue.send(&messages).await?;
    drop(messages);
    sent.events = accepted.iter().filter(|it| **it).count();
    sent.refused = sent.events < accepted.len();
    let mut progress = sent.progress;
    let mut contiguous = true;
    for row in planned {
        let accepted = accepted[row.messages].iter().all(|it| *it);
        let passed = if row.late {
            accepted && progress.fill(row.log_id)
        } else {
            contiguous = contiguous && accepted && progress.advance(row.log_id, now);
            contiguous
        };
        if passed && row.unreadable {
            progress.unreadable += 1;
            tracing::error!(
                practice = %practicepass,
                logId = row.log_id.0,
                unreadableRows = progress.unreadable,
                "a row of the log can't be read; it is passed"
            );
        }
        if row.late && !passed {
            sent.late_open = Some(sent.late_open.map_or(row.log_id, |open| open.min(row.log_id)));
        }
    }
    Ok(Sent { progress, ..sent })
}
