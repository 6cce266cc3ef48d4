//! One poll of one practice's log.

use jiff::Timestamp;
use shared::{
    app::App,
    auth::PracticeGrant,
    control::{self, dispatch::Lease},
    domain::PracticePass,
    tenant::{TenantDb, bridge, unindexed_patients},
};

use crate::{
    batch::{self, Cut, Gaps},
    bridges,
    error::{PracticeError, in_time},
    faults,
    leases::Leases,
    restart,
};

/// The result of a poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PollResult {
    pub(crate) events: usize,
    /// Whether rows remain that the poll's time did not allow to read.
    pub(crate) more: bool,
}

/// Sends the events of new rows, batch by batch, until none is left or time runs out.
///
/// Reads at least one batch. Stops early if the queue does not accept every message.
///
/// Does nothing if another process holds the practice's lease.
pub(crate) async fn poll(
    app: &App,
    leases: &Leases,
    practicepass: &PracticePass,
    until: Timestamp,
) -> Result<PollResult, PracticeError> {
    let Some(mut lease) = leases.acquire(app, practicepass).await? else { return Ok(PollResult::default()) };
    let turn = take_turn(app, leases, &mut lease, until).await;
    if !matches!(turn, Err(PracticeError::Control(control::Error::ConditionFailed))) {
        leases.keep(lease);
    }
    turn
}

async fn take_turn(
    app: &App,
    leases: &Leases,
    lease: &mut Lease,
    until: Timestamp,
) -> Result<PollResult, PracticeError> {
    let grant = PracticeGrant::for_operations(lease.practicepass().clone());
    let db = in_time(app, app.open(&grant)).await?;
    // Before reading the log, so that the events of applied changes are sent now. An EMR on its own
    // server may be down; the API's own events are still sent.
    if let Err(error) = in_time(app, bridge::pull(&db)).await {
        tracing::warn!(practice = %lease.practicepass(), %error,
            "changes of the practice's EMR could not be pulled");
    }
    bridges::catch_up(app, &db).await;
    let turn = read_on(app, leases, &db, lease, until).await?;
    // Index imported patients for searching in parts; events are sent in between, and none is lost.
    let searchable = unindexed_patients::index(&db, app.config.timeouts.polled_patients);
    if let Err(error) = in_time(app, searchable).await {
        tracing::warn!(practice = %lease.practicepass(), %error, "patients could not be made searchable");
    }
    Ok(turn)
}

async fn read_on(
    app: &App,
    leases: &Leases,
    db: &TenantDb,
    lease: &mut Lease,
    until: Timestamp,
) -> Result<PollResult, PracticeError> {
    let practicepass = lease.practicepass().clone();
    let mut turn = PollResult::default();
    // Gaps are read once per poll, to the end; old ones only under a new lease.
    let all = std::mem::take(&mut lease.is_new);
    let mut gaps = if all { Gaps::All } else { Gaps::Likely };
    loop {
        let now = app.clock.now();
        let Some(before) = lease.progress.clone() else { return Ok(turn) };
        let mut progress = before.clone();
        let rows = in_time(app, batch::read(db, &mut progress, gaps, now)).await?;
        if let Some(anew) = in_time(app, restart::check(db, &mut progress, &rows, now)).await? {
            faults::restarted(&practicepass, progress.position(), &anew);
            // Recorded before anything is sent under the new event ids.
            leases.save(app, lease, anew).await?;
            continue;
        }
        let (new_left, late_read) = (rows.new_left, rows.late_to);
        let poll = leases.request_id.as_ref();
        let sent = batch::send(app, &practicepass, progress, rows, poll, now).await?;
        turn.events += sent.events;
        let mut after = sent.progress;
        match (sent.late_open, late_read) {
            _ if gaps != Gaps::All => (),
            (None, Cut::AtEnd) => after.drop_old_gaps(now, None),
            (None, Cut::After(id)) | (Some(id), _) => after.drop_old_gaps(now, Some(id)),
        }
        let late_left = gaps != Gaps::None && (late_read != Cut::AtEnd || sent.late_open.is_some());
        if !late_left {
            gaps = Gaps::None;
        }
        let moved = after != before;
        faults::report(&practicepass, &before, &after);
        leases.save(app, lease, after).await?;
        turn.more = moved && !sent.refused && (late_left || new_left || sent.cut);
        if !turn.more || app.clock.now() >= until {
            // The next poll reads the remaining gaps.
            lease.is_new = all && late_left;
            return Ok(turn);
        }
    }
}
