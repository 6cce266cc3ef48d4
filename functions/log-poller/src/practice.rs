//! One poll of one practice's log.

use jiff::Timestamp;
use shared::{
    app::{self, App},
    auth::PracticeGrant,
    control::{self, dispatch::Lease, queue::Message},
    domain::{PracticePass, ids::LogId, log_progress::LogProgress},
    tenant::{
        self, TenantDb,
        log::{self, LogRow},
    },
};

use crate::{events::messages_of, leases::Leases};

/// Rows read at once.
const CHUNK: i64 = 500;
/// Ranges of missing ids asked for at once.
const RANGES: usize = 100;

/// Why a practice could not be polled.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    #[error(transparent)]
    App(#[from] app::Error),
    #[error(transparent)]
    Tenant(#[from] tenant::Error),
    #[error(transparent)]
    Control(#[from] control::Error),
}

/// What a read of the log brought.
struct Rows {
    /// With ids that were missing before.
    late: Vec<LogRow>,
    /// Above all that was read.
    new: Vec<LogRow>,
}

/// Sends the events of all rows that are new since the last poll, as far as the queue accepts them; how many.
///
/// A practice that another process holds is left to it.
pub(crate) async fn poll(
    app: &App,
    leases: &Leases,
    practicepass: &PracticePass,
    deadline: Timestamp,
) -> Result<usize, PracticeError> {
    let Some(mut lease) = leases.hold(app, practicepass).await? else { return Ok(0) };
    let sent = read_on(app, leases, &mut lease, deadline).await;
    if !matches!(sent, Err(PracticeError::Control(control::Error::ConditionFailed))) {
        leases.keep(lease);
    }
    sent
}

async fn read_on(
    app: &App,
    leases: &Leases,
    lease: &mut Lease,
    deadline: Timestamp,
) -> Result<usize, PracticeError> {
    let practicepass = lease.practicepass().clone();
    let db = app.open(&PracticeGrant::for_operations(practicepass.clone())).await?;
    let mut sent = 0;
    loop {
        let now = app.clock.now();
        let Some(before) = lease.progress.clone() else { return Ok(sent) };
        let rows = read(&db, &before).await?;
        let all_read = rows.new.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let (mut after, events, refused) = dispatch(app, &practicepass, before.clone(), &rows, now).await?;
        sent += events;
        // A late row that the queue refused lies in a gap still, however old that is.
        if !refused {
            after.forget_old_gaps(now);
        }
        let stuck = after.last_log_id == before.last_log_id;
        leases.save(app, lease, after, now).await?;
        if all_read || stuck || now >= deadline {
            return Ok(sent);
        }
    }
}

async fn read(db: &TenantDb, progress: &LogProgress) -> tenant::Result<Rows> {
    let mut conn = db.connection().await?;
    let ranges: Vec<(LogId, LogId)> = progress.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
    let mut late = Vec::new();
    for ranges in ranges.chunks(RANGES) {
        late.extend(log::within(&mut conn, ranges, i64::MAX).await?);
    }
    let new = log::above(&mut conn, progress.last_log_id, CHUNK).await?;
    Ok(Rows { late, new })
}

/// Sends the rows' messages. Progress goes only as far as every message of every row was accepted; how many were, and
/// whether any was refused.
async fn dispatch(
    app: &App,
    practicepass: &PracticePass,
    mut progress: LogProgress,
    rows: &Rows,
    now: Timestamp,
) -> Result<(LogProgress, usize, bool), PracticeError> {
    if rows.late.is_empty() && rows.new.is_empty() {
        return Ok((progress, 0, false));
    }
    // Read after the rows, and strongly: who signed up before a row was committed gets it.
    let subscriptions = app.control.subscriptions_of(practicepass).await?;
    let (mut messages, mut counts) = (Vec::new(), Vec::new());
    for row in rows.late.iter().chain(&rows.new) {
        let events = messages_of(practicepass, row, &subscriptions);
        counts.push((row.log_id, events.len()));
        for event in &events {
            messages.push(Message::of_event(event, 0)?);
        }
    }
    let accepted = app.queue.send(&messages).await?;
    let sent = accepted.iter().filter(|it| **it).count();
    let mut rest = accepted.as_slice();
    let mut contiguous = true;
    for (index, (log_id, count)) in counts.into_iter().enumerate() {
        let (own, others) = rest.split_at(count);
        rest = others;
        let accepted = own.iter().all(|it| *it);
        if index < rows.late.len() {
            if accepted {
                progress.fill(log_id);
            }
        } else {
            contiguous = contiguous && accepted && progress.advance(log_id, now);
        }
    }
    Ok((progress, sent, sent < accepted.len()))
}

/// Where a practice's first poll begins: after the newest event that was there at its first sign-up. An older position is
/// moved up to there: nobody wants what lies between.
pub(crate) async fn beginning(
    app: &App,
    practicepass: &PracticePass,
    progress: Option<LogProgress>,
) -> control::Result<Option<LogProgress>> {
    let subscriptions = app.control.subscriptions_of(practicepass).await?;
    let first = subscriptions.iter().filter(|it| it.is_active()).map(|it| it.start_after_log_id).min();
    let Some(first) = first else { return Ok(progress) };
    let mut progress = progress.unwrap_or_else(|| LogProgress::after(first));
    progress.skip_to(first);
    Ok(Some(progress))
}
