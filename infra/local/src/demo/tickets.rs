//! Tickets between the practice and its partners, with comments and status history.

use jiff::{SignedDuration, Timestamp};

use super::data::TICKETS;
use super::rows::{Row, Script, row};

/// Writes the tickets with ids from 1; the newest is from a few hours before `now`.
pub(super) fn write(script: &mut Script, now: Timestamp) {
    let (mut tickets, mut comments, mut history) = (Vec::<Row>::new(), Vec::<Row>::new(), Vec::<Row>::new());
    for (id, ticket) in (1_i64..).zip(TICKETS.iter()) {
        let (status, assignee) = (ticket.status.as_str(), ticket.assignee.as_deref());
        let opened = earlier(now, (13 - id) * 29 + 5);
        let mut last = opened;
        for comment in &ticket.comments {
            last = later(last, 7);
            comments.push(row![id, &comment.text, &comment.author, last]);
        }
        if status != "Open" {
            let by = assignee.unwrap_or("Front Desk");
            let begun = later(opened, 2);
            let (first, second) = if matches!(status, "Resolved" | "Closed") {
                ("InProgress", Some(status))
            } else {
                (status, None)
            };
            history.push(row![id, "Open", first, by, begun]);
            last = last.max(begun);
            if let Some(second) = second {
                last = later(last, 3);
                history.push(row![id, first, second, by, last]);
            }
        }
        let (subject, description) = (&ticket.subject, &ticket.description);
        tickets.push(row![id, subject, description, status, &ticket.priority, assignee, opened, last]);
    }
    script.insert(
        "tickets (ticket_id, subject, description, status, priority, assignee, created_at, updated_at)",
        &tickets,
    );
    script.insert("ticket_comments (ticket_id, comment, author, created_at)", &comments);
    script.insert("ticket_history (ticket_id, old_status, new_status, author, changed_at)", &history);
}

fn earlier(at: Timestamp, hours: i64) -> Timestamp {
    at.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(at)
}

fn later(at: Timestamp, hours: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_hours(hours)).unwrap_or(at)
}
