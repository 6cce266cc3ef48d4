//! Conversion of log rows to messages for subscriptions.

use jiff::Timestamp;
use shared::{
    control::subscriptions::Subscription,
    domain::{
        PracticePass, RequestId,
        log_progress::{GRACE, LogProgress, Misfits},
        webhook_event::{EventMessage, WebhookEvent, classify},
    },
    tenant::log::LogRow,
};

/// The practice, its subscriptions and the poll that turn log rows into messages.
pub(crate) struct Source<'a> {
    pub(crate) practicepass: &'a PracticePass,
    pub(crate) subscriptions: &'a [Subscription],
    /// The request id of the poll, for rows that the EMR wrote.
    pub(crate) request_id: Option<&'a RequestId>,
    pub(crate) epoch: u32,
    pub(crate) now: Timestamp,
}

/// Returns one message for each active subscription to the row's event; none for most rows.
pub(crate) fn messages_of(row: &LogRow, progress: &LogProgress, source: &Source<'_>) -> Vec<EventMessage> {
    let Some(entry) = &row.entry else { return Vec::new() };
    let Some((event, action)) = classify(&entry.table_name, &entry.action) else { return Vec::new() };
    let event = WebhookEvent {
        practicepass: source.practicepass.clone(),
        log_id: row.log_id,
        epoch: source.epoch,
        event,
        action,
        record_id: entry.record_id,
        occurred_at: entry.logged_at.unwrap_or(source.now),
    };
    let wanted = |it: &&Subscription| {
        it.is_active() && it.scopes.contains(&event.event) && has_begun(it, row, progress)
    };
    let request_id = row.request_id.as_ref().or(source.request_id);
    let message = |it: &Subscription| {
        let mut message = EventMessage::new(event.clone(), it.id, it.generation, it.partner_id.clone(), 1);
        message.request_id = request_id.cloned();
        message
    };
    source.subscriptions.iter().filter(wanted).map(message).collect()
}

/// Whether the row was added after the subscription started.
///
/// Ids cannot be compared across epochs. So the time decides for rows that existed when the epoch
/// began.
fn has_begun(subscription: &Subscription, row: &LogRow, progress: &LogProgress) -> bool {
    if subscription.start_epoch >= progress.epoch {
        return subscription.begins_before(row.log_id);
    }
    let logged_at = row.entry.as_ref().and_then(|entry| entry.logged_at);
    row.log_id > progress.epoch_floor || logged_at.is_none_or(|at| subscription.started_at - GRACE <= at)
}

/// Counts unreadable values of the row, and rows that belong to no event scope.
pub(crate) fn count_misfits(misfits: &mut Misfits, row: &LogRow, practicepass: &PracticePass) {
    let Some(entry) = &row.entry else {
        misfits.add_unreadable(row.log_id);
        crate::faults::unreadable_row(practicepass, row.log_id);
        return;
    };
    if entry.logged_at.is_none() {
        misfits.unreadable_times += 1;
        tracing::warn!(practice = %practicepass, logId = row.log_id.0,
            "a row's time cannot be read; its event has the time of the poll");
    }
    if classify(&entry.table_name, &entry.action).is_none() {
        misfits.add_unknown(&entry.table_name, &entry.action, row.log_id);
    }
}
