//! An office in which each example's request gets the example's response.

use serde_json::{Value, json};
use shared::{
    control::{activity::CallBatch, subscriptions::SubscriptionStatus},
    domain::{
        EventScope,
        ids::{PartnerId, SubscriptionId},
    },
};

use super::example::Example;
use crate::{
    office::{ADMIN_SECRET, Answer, Engine, Office, Receiver, Reply, records, run_sql},
    pipeline::{self, fanout},
    webhooks::sign_up,
};

/// The log row of the delivery that failed.
const LAST_LOG_ID: i64 = 14_656_636;

/// The state at the start, except for the rows that examples use. The ids of a large office's
/// further rows are higher.
const PRACTICE: &str = "
delete from visits where visit_id < 100000; delete from schedule_exceptions where exception_id < 100000;
delete from patient_tags where patient_id < 100000; delete from ticket_history where history_id < 100000;
delete from ticket_comments where comment_id < 100000; delete from tickets where ticket_id < 100000;
delete from patients where patient_id > 1003 and patient_id < 100000; delete from tags where tag_id > 2;
update visit_types set active = (visit_type <> 'Retired');
update patients set email = 'ada@example.com', phone = '212-555-0123', nick_name = null, gender = null, \
cell_phone = null
    where patient_id = 1001;
insert into tags (tag_id, name, colour) values (123, 'Follow-up', '#2f7d6b');
insert into tickets (ticket_id, subject, description, status, priority, created_at, updated_at)
    values (7, 'Fax is down', 'Since noon.', 'Open', 'High', '2026-03-09T11:00:00Z', '2026-03-09T11:00:00Z');
insert into ticket_comments (comment_id, ticket_id, comment, author, created_at)
    values (70, 7, 'The line is dead.', 'Front desk', '2026-03-09T11:30:00Z');
";

/// Leaves exactly these three starts free on that day.
const THREE_STARTS: &str = "
insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time) values
    (1, '2026-03-09', 'custom', '09:00:00', '09:30:00'), (1, '2026-03-09', 'custom', '11:30:00', '12:00:00'),
    (1, '2026-03-09', 'custom', '14:00:00', '14:30:00');
";

/// Leaves nothing free today.
const DAY_OFF: &str =
    "insert into schedule_exceptions (provider_id, exception_date, kind, start_time, end_time)
    values (1, '2026-03-09', 'off', null, null);";

const TAGGED: &str = "insert into patient_tags (patient_id, tag_id) values (1001, 123);";

/// Returns a statement that adds a one-hour visit on a date from 2026-03-09 to 03-12 in New York.
fn visit(id: i64, patient: i64, provider: i64, room: &str, kind: &str, date: &str, time: &str) -> String {
    let start: jiff::Timestamp = format!("{date}T{time}-04:00").parse().unwrap();
    let (from, to) = (start.as_second(), start.as_second() + 1800);
    format!(
        "insert into visits (visit_id, patient_id, provider_id, room_id, visit_type, visit_date, visit_time, \
            visit_duration,
            provider_time, provider_duration, status, starts_at, ends_at, provider_starts_at, \
            provider_ends_at, created_at,
            updated_at)
         values ({id}, {patient}, {provider}, {room}, '{kind}', '{date}', '{time}', 30, '{time}', 30, \
         'Scheduled',
            {from}, {to}, {from}, {to}, '2026-03-01T10:00:00Z', '2026-03-01T10:00:00Z');"
    )
}

/// The caller.
pub(crate) type Credential<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct Stage {
    pub(crate) office: Office,
    hook: Receiver,
}

/// The request to send: the example's, with values that only this office has.
#[derive(Clone)]
pub(crate) struct Sent {
    method: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

impl Sent {
    /// Changes one field of the body.
    pub(crate) fn set(&mut self, field: &str, value: Value) {
        if let Some(body) = &mut self.body {
            body[field] = value;
        }
    }
}

impl Stage {
    pub(crate) async fn open(engine: Engine) -> Self {
        Self::of(Office::open(engine).await).await
    }

    pub(crate) async fn of(office: Office) -> Self {
        // The retried delivery is the tenth.
        for _ in 1..10 {
            office.app.control.next_delivery_id().await.unwrap();
        }
        Self { office, hook: Receiver::start().await }
    }

    /// Prepares the office so that the example's request succeeds; returns what to send.
    pub(crate) async fn arrange(&self, example: &Example) -> Sent {
        self.practice(&example.operation).await;
        self.catalog(&example.operation).await;
        let id = self.control_plane(&example.operation).await;
        let (method, template) = example.operation.split_once(' ').unwrap();
        let (path, query) = example.path.split_once('?').unwrap_or((&example.path, ""));
        let segments = template.split('/').zip(path.split('/'));
        let segments: Vec<&str> = segments
            .map(|(named, value)| id.as_deref().filter(|_| named == "{id}").unwrap_or(value))
            .collect();
        let path = format!("{}?{query}", segments.join("/"));
        let mut body = example.request.clone();
        for name in ["apiKey", "accessKey"] {
            if let Some(key) = body.as_mut().and_then(|body| body.get_mut(name)) {
                *key = json!(self.office.api_key("all"));
            }
        }
        if let Some(token) = body.as_mut().and_then(|body| body.get_mut("token")) {
            *token = json!(self.claim_token().await);
        }
        Sent { method: method.to_owned(), path, body }
    }

    pub(crate) async fn send(&self, sent: &Sent, credential: Credential<'_>) -> Reply {
        let mut headers = vec![("content-type", "application/json"), ("host", "portal.example.com")];
        headers.extend_from_slice(credential);
        let body = sent.body.as_ref().map(Value::to_string);
        self.office.call(&sent.method, &sent.path, &headers, body.as_deref()).await
    }

    async fn practice(&self, operation: &str) {
        self.office.sql(PRACTICE).await;
        let rows = match operation.strip_prefix("GET /v1/{PPass}/").unwrap_or(operation) {
            "availability/providers/{id}/schedule" => {
                visit(101, 1001, 1, "null", "FOLLOWUP", "2026-03-09", "09:00:00")
            }
            "availability/providers/{id}/slots" => THREE_STARTS.to_owned(),
            "availability/providers/{id}/next-slot" => DAY_OFF.to_owned(),
            "visit-types" => {
                "update visit_types set active = false where visit_type = 'FOLLOWUP';".to_owned()
            }
            // Somebody else occupies room 101 at that time and has the last id.
            "POST /v1/{PPass}/visits/book" => visit(554, 1002, 1, "101", "Consult", "2026-03-12", "10:00:00"),
            name if name.contains("visits/{id}") => {
                visit(555, 1001, 2, "102", "Consult", "2026-03-12", "10:00:00")
            }
            "POST /v1/{PPass}/tags/prospects/{id}" => return,
            name if name.contains("tags") || name.contains("prospects") => TAGGED.to_owned(),
            _ => return,
        };
        self.office.sql(&rows).await;
        if operation.ends_with("/book") && self.office.is_postgres().await {
            self.office.sql("select setval(pg_get_serial_sequence('visits', 'visit_id'), 554)").await;
        }
    }

    async fn catalog(&self, operation: &str) {
        let reset = "delete from products; update kb_articles set category = 'Billing', tags = 'insurance, \
            verification',
            updated_at = '2026-01-02T10:00:00Z' where kb_id = 12";
        run_sql(&self.office.catalog, reset).await;
        if operation == "GET /v1/products" {
            let product = json!({
                "VendorCode": "V001", "ProductCode": "P001", "Product": "Example Product",
                "RetailPrice": 99.99,
            });
            self.office.post("/v1/products", &json!({ "products": [product] })).await.expect(200);
        }
    }

    /// Prepares the operation's subject in the control plane; returns the id for the path, if it is
    /// not the example's.
    async fn control_plane(&self, operation: &str) -> Option<String> {
        let office = &self.office;
        let hook_url = "https://partner.example.com/officepro/webhooks";
        match operation {
            "GET /v1/admin/access-requests" => {
                self.access_request().await;
            }
            "POST /v1/admin/access-requests/{id}/approve" | "POST /v1/admin/access-requests/{id}/deny" => {
                return Some(self.access_request().await);
            }
            "POST /v1/admin/access-requests/{id}/withdraw"
            | "POST /v1/admin/access-requests/{id}/reissue" => {
                let id = self.access_request().await;
                self.approve(&id).await;
                return Some(id);
            }
            "GET /v1/admin/activity" | "GET /v1/admin/overview" | "GET /v1/me/usage" => self.calls().await,
            "GET /v1/admin/audit" => {
                let change = json!({ "contactName": "Robin Lee" });
                office.admin("PATCH", "/v1/admin/partners/prt_acme", Some(&change)).await.expect(200);
            }
            name if name.contains("/v1/admin/keys/{id}") => return Some(self.key().await),
            "GET /v1/webhooks" | "DELETE /v1/webhooks" => {
                sign_up(office, hook_url, &["Patients", "Claims"]).await;
            }
            "POST /v1/webhooks/signup" => self.no_subscription().await,
            "POST /v1/webhooks/rotate-secret" => {
                // A secret cannot be rotated repeatedly.
                self.no_subscription().await;
                sign_up(office, hook_url, &["Patients", "Claims"]).await;
            }
            "POST /v1/webhooks/test" | "POST /v1/webhooks/replay" => {
                sign_up(office, &self.hook.url, &["Claims"]).await;
            }
            "GET /v1/admin/readiness" => {
                pipeline::poll(office).await;
                for db in [&office.db, &office.other_db] {
                    office.migrated(db.practicepass()).await;
                }
            }
            "GET /v1/admin/webhooks/monitor" => self.one_hundred_and_fifty_deliveries().await,
            "GET /v1/admin/webhooks"
            | "POST /v1/admin/webhooks/{id}/pause"
            | "POST /v1/admin/webhooks/{id}/resume"
            | "DELETE /v1/admin/webhooks/{id}" => return Some(self.subscription(hook_url).await),
            name if name.contains("deliveries") || name.contains("retry") => {
                return Some(self.failed_delivery().await.to_string());
            }
            _ => (),
        }
        None
    }

    async fn no_subscription(&self) {
        // Read as an administrator, because it may be paused.
        let listed = self.office.admin("GET", "/v1/admin/webhooks", None).await;
        for row in listed.expect(200)["data"].as_array().unwrap() {
            let path = format!("/v1/admin/webhooks/{}", row["id"]);
            self.office.admin("DELETE", &path, None).await.expect(200);
        }
    }

    /// Creates a new subscription; returns its id.
    async fn subscription(&self, hook_url: &str) -> String {
        self.no_subscription().await;
        let data = sign_up(&self.office, hook_url, &["Patients", "Claims"]).await;
        data["id"].to_string()
    }

    async fn access_request(&self) -> String {
        let request_body = json!({
            "company": "Nova Care", "practice": "DemoOffice", "contact": "Nia Bell",
            "email": "nia@nova.example",
            "requestedScopes": ["Prospects", "Providers", "Scheduling"], "message": "We sync calendars.",
        });
        let content = [("content-type", "application/json")];
        let asked =
            self.office.call("POST", "/v1/access-requests", &content, Some(&request_body.to_string())).await;
        asked.expect(202);
        let list = self.office.admin("GET", "/v1/admin/access-requests?status=pending", None).await;
        list.expect(200)["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn claim_token(&self) -> String {
        let url = self.approve(&self.access_request().await).await;
        url.rsplit_once('=').unwrap().1.to_owned()
    }

    /// Approves the request; returns its claim link.
    async fn approve(&self, request: &str) -> String {
        let path = format!("/v1/admin/access-requests/{request}/approve");
        let headers =
            [("x-admin-secret", ADMIN_SECRET), ("content-type", "application/json"), ("host", "localhost")];
        let approved = self.office.call("POST", &path, &headers, Some("{}")).await;
        approved.expect(200)["data"]["claimUrl"].as_str().unwrap().to_owned()
    }

    async fn key(&self) -> String {
        let key = json!({
            "partnerId": "prt_acme", "name": "Calendar sync", "practicepass": "DemoOffice",
            "scopes": ["Prospects"],
        });
        let made = self.office.admin("POST", "/v1/admin/keys", Some(&key)).await;
        made.expect(201)["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Adds twenty calls of the partner within an hour, two of them rejected.
    async fn calls(&self) {
        let mut calls = records(20, "2026-03-09T11:00:00Z");
        for (number, call) in calls.iter_mut().enumerate() {
            call.partner_id = Some("prt_acme".into());
            call.partner = Some("Acme Health".into());
            if number % 10 == 9 {
                call.status = 429;
            }
        }
        for batch in CallBatch::seal(&calls) {
            self.office.app.control.record_calls(&batch).await.unwrap();
        }
    }

    async fn failed_delivery(&self) -> i64 {
        sign_up(&self.office, &self.hook.url, &["Claims"]).await;
        let before = self.office.integer("select coalesce(max(log_id), 0) from log").await;
        self.fail(LAST_LOG_ID.max(before + 1)).await;
        let monitor =
            self.office.admin("GET", "/v1/admin/webhooks/monitor?success=false&limit=1", None).await;
        monitor.expect(200)["recentDeliveries"][0]["id"].as_i64().unwrap()
    }

    /// Delivers an event that the endpoint rejects.
    async fn fail(&self, log_id: i64) {
        let message = fanout::message(&self.office, log_id).await;
        self.hook.then(Answer::status(500));
        fanout::attempt(&self.office, &message, 1).await;
    }

    /// Creates the reference's figures: three subscriptions, one of them disabled, and 150
    /// deliveries, four of which failed.
    async fn one_hundred_and_fifty_deliveries(&self) {
        let office = &self.office;
        let second = PartnerId("prt_2".into());
        if office.app.control.subscription(office.db.practicepass(), &second).await.unwrap().is_some() {
            return;
        }
        sign_up(office, &self.hook.url, &["Claims"]).await;
        let acme = PartnerId("prt_acme".into());
        let own = office.app.control.subscription(office.db.practicepass(), &acme).await.unwrap().unwrap();
        for (number, status) in [(2, SubscriptionStatus::Active), (3, SubscriptionStatus::Disabled)] {
            let mut other = own.clone();
            other.id = SubscriptionId(number);
            other.partner_id = PartnerId(format!("prt_{number}"));
            other.scopes = vec![EventScope::Payments];
            other.status = status;
            other.version = 1;
            office.app.control.save_subscription(&other, None).await.unwrap();
        }
        let row = |id| format!("({id}, 'claims', 'insert', {id}, '2026-03-09T12:00:00Z')");
        let rows: Vec<String> = (LAST_LOG_ID - 149..=LAST_LOG_ID - 4).map(row).collect();
        let columns = "insert into log (log_id, table_name, action, record_id, logged_at) values";
        office.sql(&format!("{columns} {}", rows.join(","))).await;
        pipeline::poll(office).await;
        let messages = office.queue.receive().await;
        for batch in messages.chunks(10) {
            let bodies: Vec<&str> = batch.iter().map(|message| message.body.as_str()).collect();
            webhook_fanout::deliver(&office.app, webhook_fanout::Lane::Fast, pipeline::event(&bodies)).await;
        }
        for log_id in LAST_LOG_ID - 3..=LAST_LOG_ID {
            self.fail(log_id).await;
        }
    }
}
