//! Operator commands on a practice that is attached to its EMR.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::running::EVERYDAY;

const PRACTICE: &str = "AttachedClinic";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_is_attached_checked_and_removed_only_after_it_is_detached() {
    let stack = EVERYDAY.stack().await;
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server; tests/run sets it");
    let name = format!("attached_{}", std::process::id());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let dsn = format!("{}/{name}?sslmode=disable", server.rsplit_once('/').unwrap().0);
    let mut emr = PgConnection::connect(&dsn).await.unwrap();
    emr.execute(include_str!("../bridges/openemr.sql")).await.unwrap();

    let add =
        ["add-practice", PRACTICE, "--name", "Attached", "--time-zone", "America/Chicago", "--dsn-stdin"];
    stack.operate_with(&add, &dsn).await.expect();
    let attach = ["attach-practice", PRACTICE, "--bridge", "openemr-postgresql"];
    assert!(stack.operate(&attach).await.expect().contains("3 patients and 0 events"));
    stack.operate(&[&attach[..], &["--apply"]].concat()).await.expect();
    let check = ["check-practice", PRACTICE];
    assert!(stack.operate(&check).await.expect().contains("Both sides match."));

    emr.execute("drop trigger partner_api_inserts on users").await.unwrap();
    let said = stack.operate(&check).await.expect_failure();
    assert!(said.contains("run `check-practice AttachedClinic --repair`"), "{said}");
    assert_eq!(said.matches("AttachedClinic: ").count(), 1, "{said}");
    stack.operate(&[&check[..], &["--repair"]].concat()).await.expect();

    let remove = ["remove-practice", PRACTICE];
    let said = stack.operate(&remove).await.expect_failure();
    assert!(said.contains("detach it first with `detach-practice AttachedClinic`"), "{said}");
    assert!(stack.operate(&check).await.good, "nothing was removed");
    stack.operate(&["detach-practice", PRACTICE]).await.expect();
    stack.operate(&remove).await.expect();
    emr.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_whose_database_is_gone_is_removed_with_a_word() {
    let stack = EVERYDAY.stack().await;
    let practice = "GoneClinic";
    let add = ["add-practice", practice, "--name", "Gone", "--time-zone", "America/Chicago"];
    stack.operate(&add).await.expect();
    let file = stack.folder.join("data/practices/GoneClinic.sqlite");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let said = stack.operate(&["remove-practice", practice]).await.expect();
    assert!(said.contains("is attached to an EMR is unknown") && said.contains("is removed"), "{said}");
}
