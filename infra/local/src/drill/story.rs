//! What partners, administrators and the EMR do around the backups.

use std::time::Duration;

use officepro_operator::NewPractice;
use officepro_operator::reconcile::report::{Report, Verdict};
use serde_json::{Value, json};
use shared::auth::api_key::ApiKey;
use shared::domain::EventScope;

use super::endpoint::Endpoint;
use super::scene::{PRACTICE, Scene, until};
use crate::emit::emit;
use crate::error::{Error, Result};

/// A partner with its key.
pub(super) struct Partner {
    pub(super) id: String,
    pub(super) api_key: String,
    pub(super) key_id: String,
}

/// A booking as its partner knows it.
#[derive(Clone)]
pub(super) struct Booking {
    pub(super) name: &'static str,
    pub(super) body: Value,
    pub(super) visit: i64,
    pub(super) request_id: String,
}

impl Booking {
    /// Returns the `Idempotency-Key` of the booking.
    pub(super) fn once(&self) -> String {
        format!("drill-{}", self.name)
    }
}

/// The participants and what they did.
pub(super) struct Story {
    /// Books and receives events.
    pub(super) booker: Partner,
    /// Its key is revoked.
    pub(super) revoked: Partner,
    pub(super) suspended: Partner,
    /// Deletes its subscription.
    pub(super) silent: Partner,
    /// An administrator pauses its subscription.
    pub(super) paused: Partner,
    /// Its key is rotated.
    pub(super) rotated: Partner,
    /// Its key loses scopes.
    pub(super) narrowed: Partner,
    /// An approved request and the token of its claim link, which is withdrawn.
    pub(super) link: (String, String),
    pub(super) bookings: Vec<Booking>,
}

/// Paths of the endpoints that receive events.
pub(super) const BOOKER: &str = "booker";
pub(super) const SILENT: &str = "silent";
pub(super) const PAUSED: &str = "paused";
/// A practice that is removed.
pub(super) const CLOSED: &str = "DrillClosed";
/// The `Idempotency-Key` of an API key that is created after the backups.
const LATE: &str = "drill-late-key";

impl Story {
    pub(super) async fn begin(scene: &Scene<'_>, endpoint: &Endpoint) -> Result<Self> {
        let story = Self {
            booker: partner(scene, "Drill Booker").await?,
            revoked: partner(scene, "Drill Revoked").await?,
            suspended: partner(scene, "Drill Suspended").await?,
            silent: partner(scene, "Drill Silent").await?,
            paused: partner(scene, "Drill Paused").await?,
            rotated: partner(scene, "Drill Rotated").await?,
            narrowed: partner(scene, "Drill Narrowed").await?,
            link: claim_link(scene).await?,
            bookings: Vec::new(),
        };
        let closed = NewPractice {
            practicepass: CLOSED.to_owned(),
            name: "Drill Closed".to_owned(),
            time_zone: "America/New_York".to_owned(),
            sandbox: true,
            dsn: None,
        };
        scene.operator()?.add_practice(closed).await?;
        let hooks = [(&story.booker, BOOKER), (&story.silent, SILENT), (&story.paused, PAUSED)];
        for (partner, path) in hooks {
            let body = json!({ "hookUrl": endpoint.url(path), "scopes": ["Patients", "Encounters"] });
            scene.partner(&partner.api_key, "POST", "/v1/webhooks/signup", Some(&body)).await?;
        }
        Ok(story)
    }

    /// Books the next free half hour, and waits for its event and for the call's record.
    pub(super) async fn book(
        &mut self,
        scene: &Scene<'_>,
        endpoint: &Endpoint,
        name: &'static str,
    ) -> Result<()> {
        let key = &self.booker.api_key;
        let next = format!("/v1/{PRACTICE}/availability/providers/1/next-slot?duration=30");
        let slot = scene.partner(key, "GET", &next, None).await?["data"]["TheNextSlot"].take();
        let patients = scene.partner(key, "GET", &format!("/v1/{PRACTICE}/prospects?limit=1"), None).await?;
        let body = json!({
            "PatientID": patients["data"][0]["PatientID"], "ProviderID": 1, "VisitType": "Consult",
            "VisitDate": slot["Date"], "VisitTime": slot["Time"], "VisitDuration": 30,
        });
        let mut booking = Booking { name, body, visit: 0, request_id: String::new() };
        let reply = book_once(scene, key, &booking).await?;
        booking.request_id.clone_from(&reply.request_id);
        booking.visit = reply.good("a booking")?["data"]["VisitID"].as_i64().unwrap_or_default();
        scene.recorded(&booking.request_id).await?;
        received(endpoint, booking.visit).await?;
        self.bookings.push(booking);
        Ok(())
    }

    /// Ends access in every way; a restore must undo none of it.
    pub(super) async fn end_access(&self, scene: &Scene<'_>) -> Result<()> {
        let revoke = format!("/v1/admin/keys/{}/revoke", self.revoked.key_id);
        scene.admin("POST", &revoke, Some(&json!({}))).await?;
        let rotate = format!("/v1/admin/keys/{}/rotate", self.rotated.key_id);
        scene.admin("POST", &rotate, Some(&json!({ "overlap": "0" }))).await?;
        self.narrow(scene).await?;
        let suspend = format!("/v1/admin/partners/{}", self.suspended.id);
        scene.admin("PATCH", &suspend, Some(&json!({ "status": "suspended" }))).await?;
        let pause = format!("/v1/admin/webhooks/{}/pause", self.subscription(scene, &self.paused).await?.0);
        scene.admin("POST", &pause, Some(&json!({}))).await?;
        let withdraw = format!("/v1/admin/access-requests/{}/withdraw", self.link.0);
        scene.admin("POST", &withdraw, Some(&json!({}))).await?;
        scene.operator()?.remove_practice(CLOSED).await?;
        self.late_key(scene).await?;
        let deleted = scene.reply(&self.silent.api_key, "DELETE", "/v1/webhooks", None).await?;
        let request_id = deleted.request_id.clone();
        deleted.good("/v1/webhooks")?;
        scene.recorded(&request_id).await
    }

    /// Removes scopes from a key, as an administrator.
    pub(super) async fn narrow(&self, scene: &Scene<'_>) -> Result<()> {
        let path = format!("/v1/admin/keys/{}", self.narrowed.key_id);
        scene.admin("PATCH", &path, Some(&json!({ "scopes": ["Prospects"] }))).await?;
        Ok(())
    }

    /// Does the manual work that the report asks for.
    pub(super) async fn manual(&self, scene: &Scene<'_>, report: &Report) -> Result<()> {
        let mut rows =
            report.checks.iter().filter(|it| it.verdict == Verdict::Manual).flat_map(|it| &it.rows);
        let (mut narrow, mut remove) = (false, false);
        for row in rows.by_ref() {
            narrow |= row.contains(&self.narrowed.key_id) && row.contains("earlier settings (scopes)");
            remove |= row.starts_with(CLOSED) && row.contains("remove-practice");
        }
        if narrow {
            self.narrow(scene).await?;
        }
        if remove {
            scene.operator()?.remove_practice(CLOSED).await?;
        }
        Ok(())
    }

    /// Creates an API key with the same `Idempotency-Key` each time.
    pub(super) async fn late_key(&self, scene: &Scene<'_>) -> Result<String> {
        let key = json!({
            "partnerId": self.booker.id, "name": "late", "practicepass": PRACTICE, "scopes": ["Prospects"],
        });
        let made = scene.admin_once("POST", "/v1/admin/keys", &key, LATE).await?;
        Ok(made["data"]["apiKey"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns the id and the displayed status of a partner's subscription.
    pub(super) async fn subscription(&self, scene: &Scene<'_>, partner: &Partner) -> Result<(i64, String)> {
        let page = scene.admin("GET", "/v1/admin/webhooks?limit=100", None).await?;
        let mut rows = page["data"].as_array().into_iter().flatten();
        let row = rows.find(|it| it["partnerId"] == partner.id.as_str());
        let missing = || Error::Refused(format!("{} has no subscription", partner.id));
        let row = row.ok_or_else(missing)?;
        let status = row["status"].as_str().unwrap_or_default();
        Ok((row["id"].as_i64().unwrap_or_default(), status.to_owned()))
    }

    pub(super) fn booking(&self, name: &str) -> Result<&Booking> {
        let missing = || Error::Refused(format!("the drill made no booking {name}"));
        self.bookings.iter().find(|it| it.name == name).ok_or_else(missing)
    }
}

/// Sends the request of a booking, for the first time or again.
pub(super) async fn book_once(
    scene: &Scene<'_>,
    api_key: &str,
    booking: &Booking,
) -> Result<super::scene::Reply> {
    let path = format!("/v1/{PRACTICE}/visits/book");
    scene.keyed(api_key, "POST", &path, Some(&booking.body), Some(&booking.once())).await
}

/// Waits until the booker has received the event of a visit.
pub(super) async fn received(endpoint: &Endpoint, visit: i64) -> Result<()> {
    until("the event of a booking", async || {
        let received = endpoint.received();
        Ok(received.iter().any(|it| it.path.ends_with(BOOKER) && it.body["recordId"] == visit))
    })
    .await
}

/// Changes patients in the EMR, and waits for the events to the booker.
pub(super) async fn work_in_the_emr(scene: &Scene<'_>, endpoint: &Endpoint, count: usize) -> Result<()> {
    let of_patients = || {
        endpoint
            .received()
            .iter()
            .filter(|it| it.path.ends_with(BOOKER) && it.body["event"] == "Patients")
            .count()
    };
    let before = of_patients();
    emit(&scene.folder, PRACTICE, EventScope::Patients, count).await?;
    until("the EMR's events", async || Ok(of_patients() >= before + count)).await?;
    // Stay a second away from any backup, because restore moments have a resolution of one second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Creates an approved access request; returns its id and the token of its claim link.
async fn claim_link(scene: &Scene<'_>) -> Result<(String, String)> {
    let request_body = json!({
        "company": "Drill Applicant", "practice": PRACTICE, "contact": "Nia Bell",
        "email": "nia@drill.example",
        "requestedScopes": ["Prospects"],
    });
    scene
        .call(&[], "POST", "/v1/access-requests", Some(&request_body))
        .await?
        .good("a request for access")?;
    let pending = scene.admin("GET", "/v1/admin/access-requests?status=pending", None).await?;
    let mut rows = pending["data"].as_array().into_iter().flatten();
    let id = rows.find(|it| it["company"] == "Drill Applicant").and_then(|it| it["id"].as_str());
    let id = id.unwrap_or_default().to_owned();
    let approve = format!("/v1/admin/access-requests/{id}/approve");
    let approved = scene.admin("POST", &approve, Some(&json!({}))).await?;
    let url = approved["data"]["claimUrl"].as_str().unwrap_or_default();
    let token = url.split_once("claim=").map(|(_, token)| token.to_owned()).unwrap_or_default();
    Ok((id, token))
}

async fn partner(scene: &Scene<'_>, company: &str) -> Result<Partner> {
    let made = scene.admin("POST", "/v1/admin/partners", Some(&json!({ "company": company }))).await?;
    let id = made["data"]["id"].as_str().unwrap_or_default().to_owned();
    let key = json!({
        "partnerId": id, "name": company, "practicepass": PRACTICE,
        "scopes": ["Prospects", "Providers", "Scheduling", "Patients", "Encounters"],
    });
    let made = scene.admin("POST", "/v1/admin/keys", Some(&key)).await?;
    let api_key = made["data"]["apiKey"].as_str().unwrap_or_default().to_owned();
    let unreadable = || Error::Refused("the new key is malformed".to_owned());
    let key_id = ApiKey::parse(&api_key).ok_or_else(unreadable)?.id.0;
    Ok(Partner { id, api_key, key_id })
}
