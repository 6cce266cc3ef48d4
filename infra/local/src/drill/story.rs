//! What partners, administrators and the EMR do around the backups.

use std::time::Duration;

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

/// A booking as its partner believes it.
#[derive(Clone)]
pub(super) struct Booking {
    pub(super) name: &'static str,
    pub(super) body: Value,
    pub(super) visit: i64,
    pub(super) request_id: String,
}

impl Booking {
    /// The `Idempotency-Key` that it was made with.
    pub(super) fn once(&self) -> String {
        format!("drill-{}", self.name)
    }
}

/// Who takes part, and what they did.
pub(super) struct Story {
    /// Books and receives events.
    pub(super) booker: Partner,
    /// Its key is revoked.
    pub(super) revoked: Partner,
    pub(super) suspended: Partner,
    /// Deletes its subscription.
    pub(super) silent: Partner,
    pub(super) bookings: Vec<Booking>,
}

/// The paths of the endpoints of those who receive events.
pub(super) const BOOKER: &str = "booker";
pub(super) const SILENT: &str = "silent";

impl Story {
    pub(super) async fn begin(scene: &Scene<'_>, endpoint: &Endpoint) -> Result<Self> {
        let story = Self {
            booker: partner(scene, "Drill Booker").await?,
            revoked: partner(scene, "Drill Revoked").await?,
            suspended: partner(scene, "Drill Suspended").await?,
            silent: partner(scene, "Drill Silent").await?,
            bookings: Vec::new(),
        };
        for (partner, path) in [(&story.booker, BOOKER), (&story.silent, SILENT)] {
            let body = json!({ "hookUrl": endpoint.url(path), "scopes": ["Patients", "Encounters"] });
            scene.partner(&partner.api_key, "POST", "/v1/webhooks/signup", Some(&body)).await?;
        }
        Ok(story)
    }

    /// Books the next free half hour, and waits until the partner was told of it and the call is on record.
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
        told(endpoint, booking.visit).await?;
        self.bookings.push(booking);
        Ok(())
    }

    /// Everything that must not be undone by a restore: a revocation, a suspension, a deletion.
    pub(super) async fn end_access(&self, scene: &Scene<'_>) -> Result<()> {
        let revoke = format!("/v1/admin/keys/{}/revoke", self.revoked.key_id);
        scene.admin("POST", &revoke, Some(&json!({}))).await?;
        let suspend = format!("/v1/admin/partners/{}", self.suspended.id);
        scene.admin("PATCH", &suspend, Some(&json!({ "status": "suspended" }))).await?;
        let deleted = scene.reply(&self.silent.api_key, "DELETE", "/v1/webhooks", None).await?;
        let request_id = deleted.request_id.clone();
        deleted.good("/v1/webhooks")?;
        scene.recorded(&request_id).await
    }

    pub(super) fn booking(&self, name: &str) -> Result<&Booking> {
        let missing = || Error::Refused(format!("the drill made no booking {name}"));
        self.bookings.iter().find(|it| it.name == name).ok_or_else(missing)
    }
}

/// Sends the request of a booking, the first time or once more.
pub(super) async fn book_once(
    scene: &Scene<'_>,
    api_key: &str,
    booking: &Booking,
) -> Result<super::scene::Reply> {
    let path = format!("/v1/{PRACTICE}/visits/book");
    scene.keyed(api_key, "POST", &path, Some(&booking.body), Some(&booking.once())).await
}

/// Waits until the booker was told of a visit.
pub(super) async fn told(endpoint: &Endpoint, visit: i64) -> Result<()> {
    until("the event of a booking", async || {
        let received = endpoint.received();
        Ok(received.iter().any(|it| it.path.ends_with(BOOKER) && it.body["recordId"] == visit))
    })
    .await
}

/// The EMR changes patients, and the booker is told.
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
    // A second later than any backup: their moments are told by seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
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
    let unreadable = || Error::Refused("a new key can't be read".to_owned());
    let key_id = ApiKey::parse(&api_key).ok_or_else(unreadable)?.id.0;
    Ok(Partner { id, api_key, key_id })
}
