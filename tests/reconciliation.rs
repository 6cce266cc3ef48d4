//! Reconciliation after a restore: practices' databases and the control plane, either older than
//! the other.

mod control;
mod copies;
mod innocents;
mod moments;
mod practice;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use officepro_operator::{
    error::{Error, Result},
    reconcile::{
        Ask, Moments, Plan, reconcile,
        report::{Check, Report, Verdict},
    },
};
use serde_json::{Value, json};
use shared::{
    control::Item,
    tenant::reconciliation::{ExamineRequest, Facts},
};

use crate::office::Office;

/// Queries databases as the migrate function does.
struct Asking<'a>(&'a Office);

impl Ask for Asking<'_> {
    async fn ask(&self, request: &ExamineRequest) -> Result<Facts> {
        // Serialized, as between processes.
        let task = serde_json::from_value(json!({ "examine": request })).unwrap();
        let answer = migrate::run(&self.0.app, task, Timestamp::MAX).await;
        let answer = serde_json::to_value(&answer).unwrap();
        serde_json::from_value(answer["examined"].clone()).map_err(|_| Error::Refused(answer.to_string()))
    }
}

/// The part of the control plane that a loss and a restore return to the moment of the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Everything,
    /// Items were lost or damaged, but the audit log was not.
    AllButTheAuditLog,
}

const LOSSES: [Loss; 2] = [Loss::Everything, Loss::AllButTheAuditLog];

impl Office {
    /// Advances the clock.
    fn later(&self, time: SignedDuration) -> Timestamp {
        let now = self.app.clock.now() + time;
        self.set_time(&now.to_string());
        now
    }

    /// Advances the clock by a minute, after which every cache is stale.
    fn a_minute_later(&self) -> Timestamp {
        self.later(SignedDuration::from_secs(61))
    }

    /// Returns the current control plane.
    async fn back_up_control(&self) -> Vec<Item> {
        self.app.control.control_items().await.unwrap()
    }

    /// Restores an earlier control plane.
    async fn restore_control(&self, backup: &[Item], loss: Loss) {
        let table = self.app.config.tables.control.clone().unwrap();
        let of_audit = |item: &Item| item["pk"].as_s().unwrap() == "AUDIT";
        let is_lost = |item: &&Item| loss == Loss::Everything || !of_audit(item);
        for item in self.app.control.control_items().await.unwrap().iter().filter(is_lost) {
            let mut key = Item::new();
            for name in ["pk", "sk"] {
                key.insert(name.to_owned(), item[name].clone());
            }
            self.dynamodb.delete_item().table_name(&table).set_key(Some(key)).send().await.unwrap();
        }
        for item in backup.iter().filter(is_lost) {
            self.app.control.put_control_item(item.clone(), None).await.unwrap();
        }
    }

    async fn reconcile(
        &self,
        database: Option<Timestamp>,
        control: Option<Timestamp>,
        apply: bool,
    ) -> Report {
        self.app.calls.flush(&self.app.control, Duration::from_mins(1)).await;
        let practices = self.app.control.practices().await.unwrap();
        let practices: Vec<_> =
            practices.into_iter().filter(|it| it.practicepass.as_str() == "DemoOffice").collect();
        let plan = Plan::new(Moments { database, control }, apply, self.app.clock.now()).unwrap();
        Box::pin(reconcile(&self.app.control, &Asking(self), &practices, plan)).await.unwrap()
    }

    /// Whether this API key gets a token.
    async fn admits(&self, api_key: &str) -> bool {
        let body = json!({ "apiKey": api_key }).to_string();
        let headers = [("content-type", "application/json")];
        self.call("POST", "/v1/DemoOffice/auth/token", &headers, Some(&body)).await.status.is_success()
    }
}

fn check<'a>(report: &'a Report, id: &str) -> &'a Check {
    let ids: Vec<&String> = report.checks.iter().map(|it| &it.id).collect();
    report.checks.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("{id}: {ids:?}"))
}

#[track_caller]
fn expect(report: &Report, id: &str, verdict: Verdict) -> Vec<String> {
    let found = check(report, id);
    assert_eq!(found.verdict, verdict, "{found:#?}");
    found.rows.clone()
}

/// Returns everything that a dry run must leave unchanged.
async fn everything(office: &Office) -> (BTreeMap<String, Item>, Vec<i64>) {
    let items = office.back_up_control().await.into_iter();
    let items = items.map(|item| (format!("{:?} {:?}", item["pk"], item["sk"]), item)).collect();
    let mut counts = Vec::new();
    for table in ["log", "audit_log", "visits", "idempotency_keys"] {
        counts.push(office.integer(&format!("select count(*) from {table}")).await);
    }
    (items, counts)
}

fn id_of(body: &Value) -> String {
    body["data"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_impossible_moment_is_rejected() {
    let now: Timestamp = "2026-03-09T12:00:00Z".parse().unwrap();
    let plan = |database, control| Plan::new(Moments { database, control }, false, now).is_ok();
    assert!(plan(Some(now - SignedDuration::from_hours(1)), None));
    assert!(!plan(None, None), "neither was restored");
    assert!(!plan(Some(now), None) && !plan(None, Some(now + SignedDuration::from_hours(1))));
    assert!(!plan(Some(now - SignedDuration::from_hours(24 * 40)), None), "no backup is that old");
}
