//! Rows of the log as messages for the subscriptions that want them.

use shared::{
    control::subscriptions::Subscription,
    domain::{
        PracticePass, RequestId,
        webhook_event::{EventMessage, WebhookEvent, classify},
    },
    tenant::log::LogRow,
};

/// One message for each active subscription that wants the row's event; none for most rows. A row of the EMR's own gets
/// the poll's request id.
pub(crate) fn messages_of(
    practicepass: &PracticePass,
    row: &LogRow,
    subscriptions: &[Subscription],
    poll: Option<&RequestId>,
) -> Vec<EventMessage> {
    let Some(entry) = &row.entry else { return Vec::new() };
    let Some((event, action)) = classify(&entry.table_name, &entry.action) else { return Vec::new() };
    let event = WebhookEvent {
        practicepass: practicepass.clone(),
        log_id: row.log_id,
        event,
        action,
        record_id: entry.record_id,
        occurred_at: entry.logged_at(),
    };
    let wanted = |it: &&Subscription| {
        it.is_active() && it.scopes.contains(&event.event) && it.begins_before(row.log_id)
    };
    let request_id = row.request_id.as_ref().or(poll);
    let message = |it: &Subscription| {
        let mut message = EventMessage::new(event.clone(), it.id, it.generation, it.partner_id.clone(), 1);
        message.request_id = request_id.cloned();
        message
    };
    subscriptions.iter().filter(wanted).map(message).collect()
}
