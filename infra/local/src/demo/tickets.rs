//! Tickets between the practice and its partners, with comments and status history.

use jiff::{SignedDuration, Timestamp};

use super::rows::{Row, Script, row};

/// Subject, description, status, priority, assignee, and comments with their authors.
type Ticket = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static [(&'static str, &'static str)],
);

const TICKETS: [Ticket; 12] = [
    (
        "Intake form is missing on the tablet",
        "The second tablet in the waiting area shows an empty page after the language is chosen.",
        "InProgress",
        "High",
        Some("Dana Reyes"),
        &[
            ("Support Agent", "Which version of the form app does the tablet show?"),
            ("Front Desk", "4.2.1. The first tablet has 4.3.0 and works."),
            ("Support Agent", "Update sent; please restart the tablet once."),
        ],
    ),
    (
        "Duplicate reminders on Mondays",
        "Some people get the text message reminder twice when they have two visits in a week.",
        "Waiting",
        "Normal",
        Some("Dana Reyes"),
        &[("Support Agent", "Could you name two visits by their number?")],
    ),
    (
        "Add a room for procedures",
        "Room 105 opens next month and should be bookable.",
        "Open",
        "Normal",
        None,
        &[],
    ),
    (
        "Statement totals differ by a cent",
        "The export rounds each line, the statement rounds the sum.",
        "Resolved",
        "High",
        Some("Luis Ortega"),
        &[
            ("Billing", "Attached to the monthly report of the partner."),
            ("Support Agent", "Both now round the sum."),
        ],
    ),
    (
        "Opening hours on the booking page",
        "The late hours of Thursday are not shown.",
        "Closed",
        "Low",
        Some("Luis Ortega"),
        &[("Support Agent", "Shown since yesterday.")],
    ),
    ("Question about the quarterly report", "Which visits count as no-shows?", "Open", "Low", None, &[]),
    (
        "Label printer prints blank labels",
        "Since the paper was changed every second label is blank.",
        "InProgress",
        "Urgent",
        Some("Dana Reyes"),
        &[("Support Agent", "Please run the calibration from the menu.")],
    ),
    (
        "New provider starts on the first",
        "Needs hours, visit types and a room.",
        "Open",
        "High",
        Some("Mina Cho"),
        &[],
    ),
    (
        "Product photos are out of date",
        "The new packaging of the sunscreen is not in the catalog.",
        "Waiting",
        "Low",
        None,
        &[],
    ),
    ("Referral letters in German", "Two partners ask for a German template.", "Open", "Normal", None, &[]),
    (
        "Slow search in the afternoon",
        "Looking people up takes seconds around four o'clock.",
        "Resolved",
        "High",
        Some("Luis Ortega"),
        &[("Support Agent", "A report ran at that time; it now runs at night.")],
    ),
    (
        "Holiday closing",
        "The practice is closed on the last Friday of the month.",
        "Closed",
        "Normal",
        Some("Mina Cho"),
        &[("Front Desk", "Thank you!")],
    ),
];

/// Writes the tickets with ids from 1; the newest is from a few hours before `now`.
pub(super) fn write(script: &mut Script, now: Timestamp) {
    let (mut tickets, mut comments, mut history) = (Vec::<Row>::new(), Vec::<Row>::new(), Vec::<Row>::new());
    for (id, (subject, description, status, priority, assignee, said)) in (1_i64..).zip(TICKETS) {
        let opened = earlier(now, (13 - id) * 29 + 5);
        let mut last = opened;
        for (author, comment) in said {
            last = later(last, 7);
            comments.push(row![id, *comment, *author, last]);
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
        tickets.push(row![id, subject, description, status, priority, assignee, opened, last]);
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
