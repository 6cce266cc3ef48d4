//! Restores from backups, as operators perform and rehearse them.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::running::{EVERYDAY, Stack, program};

/// Runs the drill; returns its report.
async fn drill(more: &[&str]) -> Value {
    Stack::build().await;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("drill.md");
    let mut command = Command::new(program());
    command
        .args(["restore-drill", "--keep"])
        .arg(folder.path().join("data"))
        .arg("--report")
        .arg(&report)
        .args(more);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = std::fs::read_to_string(&report).unwrap_or_default();
    assert!(done.status.success(), "{}\n{text}", String::from_utf8_lossy(&done.stderr));
    for part in ["# Restore drill", "## Checks", "## Sign-off", "recovery time", "4 Reconcile"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let read = |file: &Path| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    read(&report.with_extension("json"))
}

fn assert_holds(report: &Value) {
    let verdict = |id: &str| {
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("no check {id}"));
        found["verdict"].as_str().unwrap().to_owned()
    };
    for round in ["database-older", "control-older"] {
        let checks = report["checks"].as_array().unwrap().iter();
        let of_round = checks.filter_map(|it| it["id"].as_str()?.strip_prefix(&format!("{round}/verify/")));
        let verified: Vec<&str> = of_round.collect();
        assert!(verified.len() >= 18, "{verified:?}");
        for check in verified {
            assert_eq!(verdict(&format!("{round}/verify/{check}")), "good", "{check}");
        }
        for repaired in ["control/ids", "control/answers", "DemoOffice/log", "DemoOffice/record-ids"] {
            assert_eq!(verdict(&format!("{round}/{repaired}")), "repaired", "{repaired}");
        }
        assert_eq!(verdict(&format!("{round}/DemoOffice/writes")), "manual");
        assert_eq!(verdict(&format!("{round}/control/key-terms")), "manual");
    }
    // In this round the copy replaced the table, so everything that was ended worked again.
    for repaired in ["audit", "keys", "partners", "claim-links", "subscriptions", "practices"] {
        assert_eq!(verdict(&format!("control-older/control/{repaired}")), "repaired", "{repaired}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restore_drill_recovers_from_the_loss_of_both_stores() {
    assert_holds(&drill(&[]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restore_drill_succeeds_on_postgres() {
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    assert_holds(&drill(&["--practice-db", &server]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_needs_a_moment_and_an_existing_practice() {
    let stack = EVERYDAY.stack().await;
    let refused = async |arguments: &[&str], word: &str| {
        let said = stack.operate(arguments).await.expect_failure();
        assert!(said.contains(word), "{arguments:?}: {said}");
    };
    let at = (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30)).to_string();
    refused(&["reconcile", "DemoOffice"], "--database-at TIME").await;
    refused(&["reconcile", "--database-at", &at], "<PRACTICE>").await;
    refused(&["reconcile", "NoClinic", "--database-at", &at], "isn't registered").await;
    refused(
        &["reconcile", "DemoOffice", "--control-at", "2099-01-01T00:00:00Z"],
        "not within the last 35 days",
    )
    .await;
    refused(&["restore-control", "--from", "ControlTable", "--control-at", &at], "the stack's own table")
        .await;
    refused(&["restore-control", "--from", "Nothing", "--control-at", &at], "error: Nothing: ").await;
    for wrong in ["2099-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
        refused(
            &["restore-control", "--from", "Nothing", "--control-at", wrong],
            "not within the last 35 days",
        )
        .await;
    }
    // Nothing was restored, so it would only skip ids, and a dry run skips none.
    let said = stack.operate(&["reconcile", "DemoOffice", "--database-at", &at]).await.expect_failure();
    assert!(said.contains("run again with --apply") && said.contains("DemoOffice/record-ids"), "{said}");
}
