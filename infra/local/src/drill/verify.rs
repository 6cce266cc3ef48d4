//! Verifies from outside that the guarantees hold after the restore.

use std::collections::{BTreeMap, BTreeSet};

use officepro_operator::reconcile::report::{Check, Report, Verdict};
use serde_json::{Value, json};
use shared::domain::ids::LogId;
use shared::tenant::log;

use super::endpoint::{Endpoint, Received};
use super::scene::{PRACTICE, Scene, until};
use super::story::{BOOKER, Booking, CLOSED, SILENT, Story, book_once, received, work_in_the_emr};
use crate::emit;
use crate::error::Result;
use crate::practices::failed;

/// Row limit of a read, above the size of a drill's whole log.
const ROWS: i64 = 100_000;

/// What is known from before the loss.
pub(super) struct Before {
    /// End of the log before the drill's first event.
    pub(super) log_began_after: LogId,
    /// Bookings that the restored database lacks.
    pub(super) lost: Vec<&'static str>,
    /// Number of events that the silent endpoint had received when access was ended.
    pub(super) silent_events: usize,
    /// The report of the reconciliation.
    pub(super) reported: Report,
}

/// Verifies each guarantee through the running API, the partners' endpoints or the database.
pub(super) async fn verify(
    scene: &Scene<'_>,
    endpoint: &Endpoint,
    story: &mut Story,
    before: &Before,
) -> Result<Vec<Check>> {
    let mut checks = access(scene, story).await?;
    checks.push(listed(story, before));
    checks.extend(bookings(scene, story, before).await?);
    // Normal work continues.
    story.book(scene, endpoint, "after").await?;
    work_in_the_emr(scene, endpoint, 2).await?;
    checks.extend(events(scene, endpoint, before).await?);
    checks.push(audited(scene).await?);
    Ok(checks)
}

/// Returns a check that is good if `holds`, otherwise open and critical.
fn check(id: &str, guarantee: &str, expected: &str, found: impl Into<String>, holds: bool) -> Check {
    let check = Check::new(id, guarantee, expected, found);
    if holds { check } else { check.with(Verdict::Open, true) }
}

/// Verifies that ended access stays ended, and that other access works.
async fn access(scene: &Scene<'_>, story: &Story) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (id, guarantee, partner, expected) in [
        ("verify/revoked-key", "The revoked key is rejected", &story.revoked, false),
        ("verify/rotated-key", "The replaced secret is rejected", &story.rotated, false),
        ("verify/suspended-partner", "The suspended partner is rejected", &story.suspended, false),
        ("verify/live-key", "A key that was not revoked works", &story.booker, true),
    ] {
        let word = |let_in: bool| if let_in { "accepted" } else { "rejected" };
        let let_in = scene.token(&partner.api_key).await?.is_some();
        checks.push(check(id, guarantee, word(expected), word(let_in), let_in == expected));
    }
    let slots = format!("/v1/{PRACTICE}/availability/providers/1/next-slot?duration=30");
    let narrowed = scene.reply(&story.narrowed.api_key, "GET", &slots, None).await?.status.as_u16();
    let guarantee = "The narrowed key can't use the scope it lost";
    checks.push(check("verify/narrowed-key", guarantee, "403", narrowed.to_string(), narrowed == 403));
    let hooks = scene.reply(&story.silent.api_key, "GET", "/v1/webhooks", None).await?;
    let is_gone = hooks.status == http::StatusCode::NOT_FOUND
        || hooks.body["data"].as_array().is_some_and(Vec::is_empty);
    checks.push(check(
        "verify/deleted-subscription",
        "The deleted subscription is gone",
        "none",
        format!("{} {}", hooks.status.as_u16(), hooks.body["data"]),
        is_gone,
    ));
    let (_, status) = story.subscription(scene, &story.paused).await?;
    let guarantee = "The paused subscription is paused";
    checks.push(check("verify/paused-subscription", guarantee, "paused", status.clone(), status == "paused"));
    let token = json!({ "token": story.link.1 });
    let claimed = scene.call(&[], "POST", "/v1/access-requests/claim", Some(&token)).await?.status.as_u16();
    let guarantee = "The withdrawn claim link creates no key";
    checks.push(check("verify/claim-link", guarantee, "404", claimed.to_string(), claimed == 404));
    let path = format!("/v1/{CLOSED}/auth/token");
    let body = json!({ "apiKey": story.booker.api_key });
    let closed = scene.call(&[], "POST", &path, Some(&body)).await?.status.as_u16();
    let registered = scene.operator()?.registered(CLOSED).await.is_ok();
    let guarantee = "The removed practice is gone";
    let found = format!("registered: {registered}, {closed}");
    checks.push(check(
        "verify/removed-practice",
        guarantee,
        "registered: false, 404",
        found,
        !registered && closed == 404,
    ));
    let late = story.late_key(scene).await?;
    let let_in = scene.token(&late).await?.is_some();
    let guarantee = "A repeated request for a lost key returns a key that works";
    let found = if let_in { "accepted" } else { "rejected" };
    checks.push(check("verify/late-key", guarantee, "accepted", found, let_in));
    Ok(checks)
}

/// Verifies that the report lists exactly the lost bookings, so that the practice can be informed.
fn listed(story: &Story, before: &Before) -> Check {
    let rows = before.reported.checks.iter().filter(|it| it.id.ends_with("/writes")).flat_map(|it| &it.rows);
    let rows: Vec<&String> = rows.filter(|it| it.contains("/visits/book")).collect();
    let named: Vec<&str> = story
        .bookings
        .iter()
        .filter(|it| rows.iter().any(|row| row.contains(&it.request_id)))
        .map(|it| it.name)
        .collect();
    check(
        "verify/lost-bookings",
        "The report lists exactly the bookings that the restore lost",
        &before.lost.join(", "),
        named.join(", "),
        named == before.lost,
    )
}

/// Repeats every booking with its `Idempotency-Key`.
///
/// A lost visit must be booked again; an existing one must get its stored response.
async fn bookings(scene: &Scene<'_>, story: &Story, before: &Before) -> Result<Vec<Check>> {
    let key = &story.booker.api_key;
    let (mut about_nothing, mut wrong, mut reused) = (Vec::new(), Vec::new(), Vec::new());
    let known: BTreeSet<i64> = story.bookings.iter().map(|it| it.visit).collect();
    for booking in &story.bookings {
        let reply = book_once(scene, key, booking).await?;
        let visit = reply.body["data"]["VisitID"].as_i64();
        let was_lost = before.lost.contains(&booking.name);
        let path = format!("/v1/{PRACTICE}/visits/{}", visit.unwrap_or_default());
        if scene.reply(key, "GET", &path, None).await?.status != http::StatusCode::OK {
            about_nothing.push(format!("{}: {} {}", booking.name, reply.status, reply.body));
        }
        if reply.is_replay == was_lost || (!was_lost && visit != Some(booking.visit)) {
            wrong.push(format!(
                "{}: replay {}, visit {visit:?} for {}",
                booking.name, reply.is_replay, booking.visit
            ));
        }
        if was_lost && visit.is_some_and(|it| known.contains(&it)) {
            reused.push(format!("{}: {visit:?}", booking.name));
        }
    }
    let twice = twice(scene, key, story.booking(story.bookings[0].name)?).await?;
    let all = story.bookings.len();
    let rest = |rows: &[String]| if rows.is_empty() { format!("none of {all}") } else { rows.join("; ") };
    Ok(vec![
        check(
            "verify/replays",
            "No stored response is about a visit that doesn't exist",
            "none",
            rest(&about_nothing),
            about_nothing.is_empty(),
        ),
        check(
            "verify/repetitions",
            "A repeated request returns its visit if it exists, and books it again if it is lost",
            "every one",
            rest(&wrong),
            wrong.is_empty(),
        ),
        check(
            "verify/visit-ids",
            "No lost visit's id is given to another one",
            "none",
            rest(&reused),
            reused.is_empty(),
        ),
        check(
            "verify/double-booking",
            "A time that is taken can't be booked again",
            "409 for each",
            twice.clone(),
            twice == "409",
        ),
    ])
}

/// Books the time of a visit again, without its `Idempotency-Key`.
async fn twice(scene: &Scene<'_>, api_key: &str, booking: &Booking) -> Result<String> {
    let path = format!("/v1/{PRACTICE}/visits/book");
    let reply = scene.reply(api_key, "POST", &path, Some(&booking.body)).await?;
    Ok(reply.status.as_u16().to_string())
}

async fn events(scene: &Scene<'_>, endpoint: &Endpoint, before: &Before) -> Result<Vec<Check>> {
    let missing = async || -> Result<Vec<String>> {
        let told: BTreeSet<(i64, i64, String)> =
            endpoint.received().iter().filter(|it| it.path.ends_with(BOOKER)).map(Received::says).collect();
        let db = emit::open(&scene.folder, PRACTICE).await?;
        let rows = async { log::above(&mut db.connection().await?, before.log_began_after, ROWS).await };
        let rows = rows.await.map_err(failed(PRACTICE));
        db.close().await;
        let rows = rows?.into_iter().filter_map(|row| {
            let entry = row.entry?;
            let at = Value::String(entry.logged_at?.to_string()).to_string();
            let is_event = matches!(entry.table_name.as_str(), "patients" | "visits");
            let says = (row.log_id.0, entry.record_id, at);
            (is_event && !told.contains(&says))
                .then(|| format!("row {} of {} {}", says.0, entry.table_name, says.1))
        });
        Ok(rows.collect())
    };
    // The newest events may still be on their way.
    let mut left = missing().await?;
    let waited = until("every event", async || {
        left = missing().await?;
        Ok(left.is_empty())
    });
    let lost = if waited.await.is_ok() { Vec::new() } else { left };
    let mut by_id: BTreeMap<String, BTreeSet<(i64, i64, String)>> = BTreeMap::new();
    let received = endpoint.received();
    for one in &received {
        by_id.entry(one.event_id().to_owned()).or_default().insert(one.says());
    }
    let two_faced: Vec<&String> = by_id.iter().filter(|(_, says)| says.len() > 1).map(|(id, _)| id).collect();
    let silent = received.iter().filter(|it| it.path.ends_with(SILENT)).count();
    Ok(vec![
        check(
            "verify/events",
            "Every row of the restored log was sent to its subscriber",
            "none missing",
            if lost.is_empty() { "none missing".to_owned() } else { lost.join("; ") },
            lost.is_empty(),
        ),
        check(
            "verify/event-ids",
            "No event id is used for two events",
            "one event for each id",
            format!("{} ids, {} of them for two events {two_faced:?}", by_id.len(), two_faced.len()),
            two_faced.is_empty(),
        ),
        check(
            "verify/silence",
            "Nothing is sent to the deleted subscription",
            &format!("{} events, as before", before.silent_events),
            format!("{silent} events"),
            silent == before.silent_events,
        ),
    ])
}

async fn audited(scene: &Scene<'_>) -> Result<Check> {
    let page = scene.admin("GET", "/v1/admin/audit?limit=100", None).await?;
    let has =
        |action: &str| page["data"].as_array().is_some_and(|it| it.iter().any(|it| it["action"] == action));
    let (restored, revoked) = (has("restore.reconcile"), has("keys.revoke"));
    Ok(check(
        "verify/audit",
        "The audit log has the restore and the revocation before it",
        "both",
        format!("restore: {restored}, revocation: {revoked}"),
        restored && revoked,
    ))
}

/// Waits until the booker has received the events of all its bookings.
pub(super) async fn all_received(endpoint: &Endpoint, story: &Story) -> Result<()> {
    for booking in &story.bookings {
        received(endpoint, booking.visit).await?;
    }
    Ok(())
}
