//! Ended access: every way to a partner's data or endpoint is closed within 60 seconds, however
//! access ended.

use jiff::{SignedDuration, Timestamp};
use officepro_operator::{access, replayable};
use serde_json::{Value, json};
use shared::{
    auth::{KeyRecord, api_key::ApiKey},
    control::{deliveries::Delivery, partners::PartnerStatus, subscriptions::Subscription},
    domain::{
        Scope,
        delivery::{DeliveryStatus, WithheldReason},
        ids::{LogId, PartnerId},
    },
};
use webhook_fanout::Lane;

use crate::{
    office::{Answer, Engine, Office, Receiver},
    pipeline::{self, fanout},
    reference::session,
    webhooks::sign_up,
};

const PARTNER: &str = "prt_acme";

/// An enumeration whose variants are all tested: a new one does not compile until each `match`
/// handles it.
macro_rules! every {
    ($name:ident: $($variant:ident)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $name { $($variant),+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
    };
}

every! { Channel:
    ApiKey Token PortalSession FirstDelivery SlowLane DueRetry RetryByPartner RetryByAdministrator Replay
    TestEvent ClaimLink
}

every! { End: Revoked Rotated RotatedWithOverlap Expired Suspended ScopeRemoved }

/// Whether the channel still works a minute after the end, and an hour and a half after it, when an
/// overlap has passed.
#[expect(clippy::match_same_arms, reason = "a table by reason")]
fn works(channel: Channel, end: End) -> (bool, bool) {
    match (channel, end) {
        // Keys, tokens and sessions end with the secret; an overlap extends them by an hour.
        (
            Channel::ApiKey
            | Channel::Token
            | Channel::PortalSession
            | Channel::RetryByPartner
            | Channel::TestEvent,
            End::RotatedWithOverlap,
        ) => (true, false),
        (
            Channel::ApiKey
            | Channel::Token
            | Channel::PortalSession
            | Channel::RetryByPartner
            | Channel::TestEvent,
            End::Revoked | End::Rotated | End::Expired | End::Suspended | End::ScopeRemoved,
        ) => (false, false),
        // A subscription belongs to the partner: a new secret of its key changes nothing.
        (
            Channel::FirstDelivery
            | Channel::SlowLane
            | Channel::DueRetry
            | Channel::RetryByAdministrator
            | Channel::Replay,
            End::Rotated | End::RotatedWithOverlap,
        ) => (true, true),
        (
            Channel::FirstDelivery
            | Channel::SlowLane
            | Channel::DueRetry
            | Channel::RetryByAdministrator
            | Channel::Replay,
            End::Revoked | End::Expired | End::Suspended | End::ScopeRemoved,
        ) => (false, false),
        // A claim link is the partner's, not a key's.
        (Channel::ClaimLink, End::Suspended) => (false, false),
        (
            Channel::ClaimLink,
            End::Revoked | End::Rotated | End::RotatedWithOverlap | End::Expired | End::ScopeRemoved,
        ) => (true, true),
    }
}

/// An office whose partner has used every channel, so that every cache of the process is warm.
struct Scene {
    office: Office,
    receiver: Receiver,
    token: String,
    cookie: Vec<(&'static str, String)>,
    claim: String,
    /// A delivery that succeeded.
    source: i64,
    next_log_id: i64,
}

impl Scene {
    async fn open() -> Self {
        let office = Office::open(Engine::Sqlite).await;
        let receiver = Receiver::start().await;
        let token = office.token("all").await;
        let cookie = session(&office, office.api_key("all")).await;
        let claim = claim_token(&office).await;
        sign_up(&office, &receiver.url, &["Claims"]).await;
        let first = fanout::message(&office, 1).await;
        fanout::attempt(&office, &first, 1).await;
        let second = fanout::message(&office, 2).await;
        receiver.then(Answer::status(500));
        fanout::attempt(&office, &second, 1).await;
        let listed = office.send(&token, "GET", "/v1/webhooks/deliveries?success=true", None).await;
        let source = listed.expect(200)["data"][0]["id"].as_i64().unwrap();
        Self { office, receiver, token, cookie, claim, source, next_log_id: 3 }
    }

    fn now(&self) -> Timestamp {
        self.office.app.clock.now()
    }

    fn advance(&self, seconds: i64) {
        self.office.set_time(&(self.now() + SignedDuration::from_secs(seconds)).to_string());
    }

    async fn key(&self) -> KeyRecord {
        let id = ApiKey::parse(self.office.api_key("all")).unwrap().id;
        self.office.app.control.api_key(&id).await.unwrap().unwrap()
    }

    /// Ends access in the stores, as another process does: the caches of this process are stale.
    async fn end(&self, end: End) {
        let control = &self.office.app.control;
        let now = self.now();
        let mut key = self.key().await;
        match end {
            End::Revoked => {
                access::revoke_key(control, key.id.as_str(), now).await.unwrap();
                return;
            }
            End::Suspended => {
                access::set_partner_status(control, PARTNER, PartnerStatus::Suspended, now).await.unwrap();
                return;
            }
            End::Rotated | End::RotatedWithOverlap => {
                let new = ApiKey::renewed(&key.prefix, &self.office.app.random.bytes()).unwrap();
                let overlap = end == End::RotatedWithOverlap;
                key.rotate(&new, overlap.then_some(now + SignedDuration::from_hours(1)), now);
            }
            End::Expired => key.expires_at = Some(now + SignedDuration::from_secs(1)),
            End::ScopeRemoved => key.scopes = vec![Scope::Kb],
        }
        key.revision += 1;
        control.transact(vec![control.change_api_key_write(&key).unwrap()]).await.unwrap();
    }

    /// Whether the channel works now.
    async fn works(&mut self, channel: Channel) -> bool {
        let before = self.receiver.received().len();
        match channel {
            Channel::ApiKey => {
                let body = json!({ "apiKey": self.office.api_key("all") });
                let headers = [("content-type", "application/json")];
                let path = "/v1/DemoOffice/auth/token";
                let reply = self.office.call("POST", path, &headers, Some(&body.to_string())).await;
                let Some(token) = reply.body["accessToken"].as_str() else { return false };
                return self.office.send(token, "GET", "/v1/DemoOffice/tags", None).await.status == 200;
            }
            Channel::Token => {
                return self.office.send(&self.token, "GET", "/v1/DemoOffice/tags", None).await.status == 200;
            }
            Channel::PortalSession => {
                let headers: Vec<(&str, &str)> =
                    self.cookie.iter().map(|(name, value)| (*name, value.as_str())).collect();
                return self.office.call("GET", "/v1/DemoOffice/tags", &headers, None).await.status == 200;
            }
            Channel::ClaimLink => {
                let body = json!({ "token": self.claim }).to_string();
                let headers = [("content-type", "application/json"), ("idempotency-key", "claim-1")];
                let reply =
                    self.office.call("POST", "/v1/access-requests/claim", &headers, Some(&body)).await;
                return reply.status == 201;
            }
            Channel::FirstDelivery => self.deliver_next(Lane::Fast).await,
            Channel::SlowLane => self.deliver_next(Lane::Slow).await,
            Channel::DueRetry => {
                pipeline::poll(&self.office).await;
                pipeline::deliver(&self.office).await;
            }
            Channel::RetryByPartner => {
                let path = format!("/v1/webhooks/deliveries/{}/retry", self.source);
                self.office.send(&self.token, "POST", &path, None).await;
            }
            Channel::RetryByAdministrator => {
                let path = format!("/v1/admin/webhooks/retry/{}", self.source);
                self.office.admin("POST", &path, None).await;
            }
            Channel::Replay => {
                let subscription = subscription(&self.office).await;
                let app = &self.office.app;
                let time = ("2026-03-09T11:00:00Z".parse().unwrap(), "2026-03-09T12:00:01Z".parse().unwrap());
                let name = format!("r{}", self.now().as_second());
                app.control.replay(&app.queue, &subscription, time, true, &name).await.unwrap();
                pipeline::deliver(&self.office).await;
            }
            Channel::TestEvent => {
                self.office.send(&self.token, "POST", "/v1/webhooks/test", None).await;
            }
        }
        self.receiver.received().len() > before
    }

    async fn deliver_next(&mut self, lane: Lane) {
        let body = fanout::message(&self.office, self.next_log_id).await;
        self.next_log_id += 1;
        let response = webhook_fanout::deliver(&self.office.app, lane, pipeline::event(&[&body])).await;
        assert!(response.batch_item_failures.is_empty());
    }
}

/// Returns the token of an open claim link of the partner.
async fn claim_token(office: &Office) -> String {
    let request_body = json!({
        "company": "Acme Health", "practice": "DemoOffice", "contact": "Kim Lee", "email": "kim@acme.example",
        "requestedScopes": ["Prospects"],
    });
    let content = [("content-type", "application/json")];
    office.call("POST", "/v1/access-requests", &content, Some(&request_body.to_string())).await.expect(202);
    let list = office.admin("GET", "/v1/admin/access-requests?status=pending", None).await;
    let id = list.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let headers = [
        ("x-admin-secret", crate::office::ADMIN_SECRET),
        ("content-type", "application/json"),
        ("host", "localhost"),
    ];
    let path = format!("/v1/admin/access-requests/{id}/approve");
    let body = json!({ "partnerId": PARTNER }).to_string();
    let approved = office.call("POST", &path, &headers, Some(&body)).await;
    let url = approved.expect(200)["data"]["claimUrl"].as_str().unwrap();
    url.rsplit_once('=').unwrap().1.to_owned()
}

async fn subscription(office: &Office) -> Subscription {
    let partner = PartnerId(PARTNER.into());
    office.app.control.subscription(office.db.practicepass(), &partner).await.unwrap().unwrap()
}

async fn shown_status(office: &Office) -> Value {
    let list = office.admin("GET", "/v1/admin/webhooks", None).await;
    list.expect(200)["data"][0]["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_channel_is_closed_a_minute_after_access_ends() {
    let mut wrong = Vec::new();
    for channel in Channel::ALL {
        for end in End::ALL {
            let mut scene = Scene::open().await;
            scene.advance(1);
            scene.end(*end).await;
            scene.advance(60);
            let after_a_minute = scene.works(*channel).await;
            // By then a portal session has expired from inactivity, which would hide whether the
            // rotation ended it.
            let is_idle = *channel == Channel::PortalSession;
            let found = if is_idle {
                (after_a_minute, works(*channel, *end).1)
            } else {
                scene.advance(90 * 60);
                (after_a_minute, scene.works(*channel).await)
            };
            // The only due retry has been delivered, or is not due yet.
            let expected = match (channel, works(*channel, *end)) {
                (Channel::DueRetry, (works, _)) => (works, found.1),
                (_, expected) => expected,
            };
            if found != expected {
                wrong.push(format!("{channel:?} after {end:?}: {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_delivery_without_access_is_withheld_and_resumes_with_access() {
    for (end, reason) in [
        (End::Revoked, WithheldReason::NoLiveKey),
        (End::Expired, WithheldReason::NoLiveKey),
        (End::Suspended, WithheldReason::PartnerSuspended),
        (End::ScopeRemoved, WithheldReason::ScopeNotGranted),
    ] {
        let mut scene = Scene::open().await;
        scene.end(end).await;
        scene.advance(60);
        assert!(!scene.works(Channel::FirstDelivery).await);
        let office = &scene.office;
        let key = Delivery::key_of(office.db.practicepass(), subscription(office).await.id, LogId(3));
        let delivery = async || office.app.control.delivery(&key).await.unwrap().unwrap();
        let withheld = delivery().await;
        let reason = if end == End::Revoked || end == End::Expired {
            // The fixture's other key, which has no event scope, is live.
            assert_eq!(reason, WithheldReason::NoLiveKey);
            WithheldReason::ScopeNotGranted
        } else {
            reason
        };
        assert_eq!((withheld.status, withheld.attempts), (DeliveryStatus::Cancelled, 0));
        assert_eq!(withheld.withheld, Some(reason), "{end:?}");
        let path = format!("/v1/admin/webhooks/deliveries/{}", withheld.id);
        let shown = office.admin("GET", &path, None).await;
        assert_eq!(shown.expect(200)["data"]["cancelReason"], reason.as_str());
        assert_eq!(shown_status(office).await, "suspended");

        // Access returns.
        let control = &office.app.control;
        if end == End::Suspended {
            let status = PartnerStatus::Active;
            access::set_partner_status(control, PARTNER, status, scene.now()).await.unwrap();
        } else {
            office.token_with(&[Scope::Claims]).await;
        }
        scene.advance(60);
        assert_eq!(shown_status(office).await, "active", "{end:?}");
        let before = scene.receiver.received().len();
        scene.advance(300);
        pipeline::poll(office).await;
        assert_eq!(pipeline::deliver(office).await, 0);
        let delivered = delivery().await;
        assert_eq!((delivered.status, delivered.attempts), (DeliveryStatus::Delivered, 1), "{end:?}");
        assert_eq!(delivered.withheld, None);
        let events: Vec<String> = scene.receiver.received()[before..]
            .iter()
            .map(|it| it.header("x-officepro-event-id").to_owned())
            .collect();
        assert!(events.contains(&"DemoOffice-3".to_owned()), "{events:?}");
    }
}

#[tokio::test]
async fn a_withheld_delivery_is_checked_until_its_schedule_ends() {
    let mut scene = Scene::open().await;
    scene.end(End::Suspended).await;
    scene.advance(60);
    assert!(!scene.works(Channel::FirstDelivery).await);
    let office = &scene.office;
    let key = Delivery::key_of(office.db.practicepass(), subscription(office).await.id, LogId(3));
    let before = scene.receiver.received().len();
    for _ in 0..9 {
        let delivery = office.app.control.delivery(&key).await.unwrap().unwrap();
        let Some(next) = delivery.next_attempt_at else { panic!("it is given up too soon: {delivery:?}") };
        office.set_time(&(next + SignedDuration::from_secs(31)).to_string());
        pipeline::poll(office).await;
        assert_eq!(pipeline::deliver(office).await, 0);
    }
    let ended = office.app.control.delivery(&key).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.next_attempt_at), (DeliveryStatus::Cancelled, None));
    assert_eq!(scene.receiver.received().len(), before);
}

#[tokio::test]
async fn a_withheld_delivery_ends_with_its_deleted_subscription() {
    let mut scene = Scene::open().await;
    scene.end(End::Suspended).await;
    scene.advance(60);
    assert!(!scene.works(Channel::FirstDelivery).await);
    let office = &scene.office;
    let id = subscription(office).await.id;
    let key = Delivery::key_of(office.db.practicepass(), id, LogId(3));
    office.admin("DELETE", &format!("/v1/admin/webhooks/{id}"), None).await.expect(200);
    scene.advance(400);
    pipeline::poll(office).await;
    assert_eq!(pipeline::deliver(office).await, 0);
    let ended = office.app.control.delivery(&key).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.next_attempt_at), (DeliveryStatus::Cancelled, None));
}

#[tokio::test]
async fn only_another_live_key_of_the_same_partner_keeps_webhooks_active() {
    let mut scene = Scene::open().await;
    scene.office.token_with(&[Scope::Claims]).await;
    scene.end(End::Revoked).await;
    scene.advance(60);
    assert!(scene.works(Channel::FirstDelivery).await);

    let mut scene = Scene::open().await;
    scene.end(End::Revoked).await;
    // A key with all scopes, but of another partner and practice.
    let other = ApiKey::parse(scene.office.api_key("other")).unwrap();
    assert!(scene.office.app.control.api_key(&other.id).await.unwrap().is_some());
    scene.advance(60);
    assert!(!scene.works(Channel::FirstDelivery).await);
}

#[tokio::test]
async fn a_manual_send_without_access_is_rejected_with_a_code() {
    let mut scene = Scene::open().await;
    // A live key with another event's scope: its holder may call, but the event's own scope is
    // missing.
    let token = scene.office.token_with(&[Scope::Payments]).await;
    scene.end(End::ScopeRemoved).await;
    scene.advance(60);
    let before = scene.receiver.received().len();
    let own = format!("/v1/webhooks/deliveries/{}/retry", scene.source);
    let refused = scene.office.send(&token, "POST", &own, None).await;
    refused.expect_problem(409, "SUBSCRIPTION_SUSPENDED");
    assert_eq!(refused.body["reason"], "SCOPE_NOT_GRANTED");
    let by_admin = format!("/v1/admin/webhooks/retry/{}", scene.source);
    scene.office.admin("POST", &by_admin, None).await.expect_problem(409, "SUBSCRIPTION_SUSPENDED");
    let shown = scene.office.send(&token, "GET", "/v1/webhooks", None).await;
    let shown = &shown.expect(200)["data"];
    assert_eq!((&shown["status"], &shown["suspendedScopes"]), (&json!("suspended"), &json!(["Claims"])));
    let found = subscription(&scene.office).await;
    let access =
        scene.office.app.control.partner_access(&found.practicepass, &found.partner_id).await.unwrap();
    let error = replayable(&found, &access, scene.now()).unwrap_err();
    assert_eq!(error, "SUBSCRIPTION_SUSPENDED, SCOPE_NOT_GRANTED");
    assert_eq!(scene.receiver.received().len(), before);

    // Another process restores the scope: a manual retry need not wait.
    let mut key = scene.key().await;
    key.scopes = Scope::ALL.to_vec();
    key.revision += 1;
    let control = &scene.office.app.control;
    control.transact(vec![control.change_api_key_write(&key).unwrap()]).await.unwrap();
    scene.office.admin("POST", &by_admin, None).await.expect(200);
    scene.end(End::ScopeRemoved).await;
    scene.advance(60);

    // An administrator restores it: the same process sends at once.
    let path = format!("/v1/admin/keys/{}", scene.key().await.id);
    scene.office.admin("PATCH", &path, Some(&json!({ "scopes": ["Claims"] }))).await.expect(200);
    scene.office.admin("POST", &by_admin, None).await.expect(200);
    assert!(scene.works(Channel::FirstDelivery).await);
}

#[tokio::test]
async fn the_process_that_ends_access_stops_at_once() {
    for path_and_body in [
        ("PATCH", "/v1/admin/partners/prt_acme".to_owned(), Some(json!({ "status": "suspended" }))),
        ("POST", "revoke".to_owned(), None),
    ] {
        let mut scene = Scene::open().await;
        let (method, path, body) = path_and_body;
        let path = match path.as_str() {
            "revoke" => format!("/v1/admin/keys/{}/revoke", scene.key().await.id),
            path => path.to_owned(),
        };
        scene.office.admin(method, &path, body.as_ref()).await.expect(200);
        for channel in [Channel::ApiKey, Channel::Token, Channel::PortalSession, Channel::FirstDelivery] {
            assert!(!scene.works(channel).await, "{channel:?} after {path}");
        }
    }
}

#[tokio::test]
async fn a_suspension_permanently_ends_only_sessions_and_claim_links() {
    let mut scene = Scene::open().await;
    scene.advance(1);
    scene.end(End::Suspended).await;
    scene.advance(60);
    let status = PartnerStatus::Active;
    access::set_partner_status(&scene.office.app.control, PARTNER, status, scene.now()).await.unwrap();
    scene.advance(60);
    for (channel, works) in [
        (Channel::PortalSession, false),
        (Channel::ClaimLink, false),
        (Channel::ApiKey, true),
        (Channel::Token, true),
        (Channel::FirstDelivery, true),
    ] {
        assert_eq!(scene.works(channel).await, works, "{channel:?}");
    }
    scene.cookie = session(&scene.office, scene.office.api_key("all")).await;
    assert!(scene.works(Channel::PortalSession).await, "a new session");
}

#[tokio::test]
async fn an_operators_revocation_is_audited_and_idempotent() {
    let scene = Scene::open().await;
    let control = &scene.office.app.control;
    for _ in 0..2 {
        scene.end(End::Suspended).await;
        scene.end(End::Revoked).await;
    }
    let status = PartnerStatus::Active;
    access::set_partner_status(control, PARTNER, status, scene.now()).await.unwrap();
    let audit = scene.office.admin("GET", "/v1/admin/audit?limit=100", None).await;
    let mut told: Vec<String> = audit.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["credential"] == "operator")
        .map(|row| format!("{} {}", row["action"].as_str().unwrap(), row["target"].as_str().unwrap()))
        .collect();
    told.sort();
    let key = scene.key().await.id;
    let expected = [
        format!("keys.revoke {key}"),
        "partners.reinstate prt_acme".into(),
        "partners.suspend prt_acme".into(),
    ];
    assert_eq!(told, expected);
    assert!(access::revoke_key(control, "nobodysKey00", scene.now()).await.is_err());
}

#[tokio::test]
async fn a_warm_process_checks_access_without_reading_the_store() {
    let mut scene = Scene::open().await;
    for _ in 0..2 {
        let body = fanout::message(&scene.office, scene.next_log_id).await;
        scene.next_log_id += 1;
        scene.office.store_calls.take();
        webhook_fanout::deliver(&scene.office.app, Lane::Fast, pipeline::event(&[&body])).await;
        let asked = scene.office.store_calls.take();
        let reads: Vec<&String> =
            asked.iter().filter(|it| ["GetItem", "Query", "BatchGetItem"].contains(&it.as_str())).collect();
        assert_eq!(reads, ["GetItem"], "the subscription's own: {asked:?}");
    }
}

#[tokio::test]
async fn administrators_can_list_pause_resume_and_delete_subscriptions() {
    let mut scene = Scene::open().await;
    let id = subscription(&scene.office).await.id;
    let path = |rest: &str| format!("/v1/admin/webhooks/{id}{rest}");
    let list = scene.office.admin("GET", "/v1/admin/webhooks", None).await;
    let row = list.expect(200)["data"][0].clone();
    assert_eq!((&row["partner"], &row["practicepass"]), (&json!("Acme Health"), &json!("DemoOffice")));
    assert_eq!((&row["status"], &row["hookUrl"]), (&json!("active"), &json!(scene.receiver.url)));
    assert_eq!(row["lastSuccessAt"], "2026-03-09T12:00:00Z");
    let error = json!({
        "at": "2026-03-09T12:00:00Z", "statusCode": 500, "message": "the endpoint answered 500",
    });
    assert_eq!((&row["lastError"], &row["heldUntil"]), (&error, &Value::Null));
    assert!(!row.to_string().contains("whsec_"));

    for _ in 0..2 {
        let paused = scene.office.admin("POST", &path("/pause"), None).await;
        assert_eq!(paused.expect(200)["data"]["status"], "paused");
    }
    assert!(!scene.works(Channel::FirstDelivery).await);
    let retry = format!("/v1/admin/webhooks/retry/{}", scene.source);
    scene.office.admin("POST", &retry, None).await.expect_problem(409, "SUBSCRIPTION_PAUSED");
    scene.office.post("/v1/webhooks/test", &json!({})).await.expect_problem(409, "SUBSCRIPTION_PAUSED");
    // Neither a new sign-up nor a deletion before it reverses an administrator's action.
    let token = scene.office.token("all").await;
    let deleted = scene.office.send(&token, "DELETE", "/v1/webhooks", None).await;
    deleted.expect_problem(409, "SUBSCRIPTION_PAUSED");
    let again = sign_up(&scene.office, &scene.receiver.url, &["Claims"]).await;
    assert_eq!(again["status"], "paused");
    assert!(!scene.works(Channel::FirstDelivery).await);

    let resumed = scene.office.admin("POST", &path("/resume"), None).await;
    assert_eq!(resumed.expect(200)["data"]["status"], "active");
    let before = scene.receiver.received().len();
    scene.advance(400);
    pipeline::poll(&scene.office).await;
    pipeline::deliver(&scene.office).await;
    let sent: Vec<String> = scene.receiver.received()[before..]
        .iter()
        .map(|it| it.header("x-officepro-event-id").to_owned())
        .collect();
    for event in ["DemoOffice-3", "DemoOffice-4"] {
        assert!(sent.contains(&event.to_owned()), "deliveries withheld by the pause resume: {sent:?}");
    }

    scene.office.admin("DELETE", &path(""), None).await.expect(200);
    scene.office.admin("DELETE", &path(""), None).await.expect_problem(404, "NOT_FOUND");
    scene.office.admin("POST", &path("/pause"), None).await.expect_problem(404, "NOT_FOUND");
    scene.office.get("/v1/webhooks").await.expect_problem(404, "NOT_FOUND");
    let audit = scene.office.admin("GET", "/v1/admin/audit?limit=100", None).await;
    let actions: Vec<&str> = audit.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["target"] == id.to_string())
        .filter_map(|row| row["action"].as_str())
        .collect();
    for action in ["webhooks.pause", "webhooks.resume", "webhooks.delete"] {
        assert_eq!(actions.iter().filter(|it| **it == action).count(), 1, "{actions:?}");
    }
}

#[tokio::test]
async fn the_subscription_list_reads_one_page_per_cursor() {
    let office = Office::open(Engine::Sqlite).await;
    for number in 1..=7 {
        let scopes = [shared::domain::EventScope::Claims];
        pipeline::subscribe(&office, office.db.practicepass(), number, &scopes).await;
    }
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = office.admin("GET", &format!("/v1/admin/webhooks?limit=3{cursor}"), None).await;
        let page = page.expect(200);
        ids.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()));
        let Some(next) = page["pagination"]["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids, [7, 6, 5, 4, 3, 2, 1]);
}
