//! Which rows are deleted after their retention time, and which are not.

use log_poller::{Poll, Pruned, prune};
use serde_json::json;
use shared::{
    auth::PracticeGrant,
    control::subscriptions::SubscriptionStatus,
    domain::{PracticePass, ids::LogId},
    tenant::retention::{Prunable, prune_log},
};

use crate::office::{Engine, NOW, Office, on_both_databases};

/// Rows 1 to 40 are more than 400 days old, rows 41 to 60 less.
fn rows() -> String {
    let row = |id: i64| {
        let day = if id <= 40 { "2025-01-15" } else { "2025-03-15" };
        format!("({id}, 'patients', 'insert', {id}, '{day}T10:00:00Z')")
    };
    let rows: Vec<String> = (1..=60).map(row).collect();
    format!("insert into log (log_id, table_name, action, record_id, logged_at) values {}", rows.join(", "))
}

const OLD: &str = "select count(*) from log where log_id <= 40";
const YOUNG: &str = "select count(*) from log where log_id between 41 and 60";

async fn poll(office: &Office) {
    let once = Poll { shard: 0, of: 1, once: true };
    log_poller::run(&office.app, once, jiff::Timestamp::MAX, None).await.unwrap();
}

fn practice() -> PracticePass {
    PracticePass::try_from("DemoOffice").unwrap()
}

async fn only_old_rows_of_an_unread_log_are_pruned(office: Office) {
    office.sql(&rows()).await;
    // Rows whose time is unreadable or in the future stay, and do not stop the pruning.
    office.sql("update log set logged_at = 'infinity' where log_id = 1").await;
    office.sql("update log set logged_at = '2099-01-01T00:00:00Z' where log_id = 7").await;
    let mut expected = 38;
    if !office.is_postgres().await {
        office.sql("update log set logged_at = 'yesterday' where log_id = 8").await;
        office.sql("update log set logged_at = '1795860000' where log_id = 9").await;
        expected = 36;
    }
    let pruned = prune(&office.app, &practice()).await.unwrap();
    assert_eq!(pruned, Pruned { log: expected, answers: 0 });
    assert_eq!(office.integer("select count(*) from log where log_id in (1, 7)").await, 2);
    assert_eq!(office.integer(YOUNG).await, 20);
    assert_eq!(prune(&office.app, &practice()).await.unwrap().log, 0);
}
on_both_databases!(only_old_rows_of_an_unread_log_are_pruned);

async fn only_read_rows_are_pruned_and_the_poller_recognizes_the_log(office: Office) {
    let hook = json!({ "hookUrl": "http://127.0.0.1:9/hook", "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &hook).await.expect(201);
    poll(&office).await;
    office.sql(&rows()).await;
    // The rows exist, but nobody has read them: none is deleted, however old.
    assert_eq!(prune(&office.app, &practice()).await.unwrap().log, 0);
    poll(&office).await;
    let sent = office.queue.left().await;
    let pruned = prune(&office.app, &practice()).await.unwrap().log;
    let left = office.integer(OLD).await;
    assert!(pruned > 0 && pruned.cast_signed() + left == 40, "{pruned} went, {left} stayed");
    // With these the poller finds its position again when the newest rows are lost.
    let state = office.app.control.dispatch_states(Some(&practice())).await.unwrap().remove(0);
    let remembered = state.progress.anchors.ids().filter(|id| id.0 <= 40).count();
    assert!(remembered > 0 && i64::try_from(remembered).unwrap() == left, "{remembered} of {left}");
    assert_eq!(office.integer(YOUNG).await, 20);
    // The log is not taken for a different one, and nothing is sent again.
    poll(&office).await;
    assert_eq!(office.app.control.log_epoch(&practice()).await.unwrap(), 0);
    assert_eq!(office.queue.left().await, sent);
}
on_both_databases!(only_read_rows_are_pruned_and_the_poller_recognizes_the_log);

fn insert(from: i64, to: i64, at: &str) -> String {
    format!(
        "insert into log (log_id, table_name, action, record_id, logged_at)
         with recursive n(i) as (select {from} union all select i + 1 from n where i < {to})
         select i, 'patients', 'insert', i, '{at}' from n"
    )
}

const LONG_AGO: &str = "2024-05-01T10:00:00Z";
const LATELY: &str = "2026-03-01T10:00:00Z";
const FAR_AHEAD: &str = "2099-01-01T00:00:00Z";

async fn rows_with_wrong_dates_do_not_stop_pruning_or_count_as_old(office: Office) {
    for (from, to, at) in [
        (1, 1, FAR_AHEAD),
        (2, 2, LATELY),
        (3, 100, LONG_AGO),
        // A clock was wrong for a while.
        (101, 2_300, FAR_AHEAD),
        (2_301, 6_000, LONG_AGO),
        (6_001, 6_100, LATELY),
        // Written after them, but backdated: not old.
        (6_101, 6_120, LONG_AGO),
        (6_121, 6_121, LATELY),
    ] {
        office.sql(&insert(from, to, at)).await;
    }
    assert_eq!(prune(&office.app, &practice()).await.unwrap().log, 98 + 3_700);
    let left = "select count(*) from log where log_id between 3 and 100 or log_id between 2301 and 6000";
    assert_eq!(office.integer(left).await, 0);
    assert_eq!(office.integer("select count(*) from log").await, 2 + 2_200 + 121);
    assert_eq!(prune(&office.app, &practice()).await.unwrap().log, 0);
}
on_both_databases!(rows_with_wrong_dates_do_not_stop_pruning_or_count_as_old);

#[tokio::test]
async fn a_long_range_of_retained_rows_is_crossed_with_few_reads() {
    let mut office = Office::open(Engine::Postgres).await;
    for (from, to, at) in [(1, 60_000, "infinity"), (60_001, 130_000, LONG_AGO), (130_001, 130_100, LATELY)] {
        office.sql(&insert(from, to, at)).await;
    }
    let meter = office.meter().await;
    let db = office.app.open(&PracticeGrant::for_operations(practice())).await.unwrap();
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let before = now - jiff::SignedDuration::from_hours(400 * 24);
    let rows = Prunable { now, before, below: LogId(130_100), kept: &[] };
    meter.take();
    assert_eq!(prune_log(&db, &rows, 1_000).await.unwrap() / 1_000, 1);
    let statements = meter.take().statements;
    assert!(statements < 60, "one after the other there would be 120 reads: {statements}");
    let lowest = "select min(log_id) from log where logged_at < 'infinity'";
    let lowest = office.integer(lowest).await;
    assert!((61_000..63_000).contains(&lowest), "from its beginning: {lowest}");
}

async fn the_position_of_a_deleted_subscription_blocks_no_pruning(office: Office) {
    let hook = json!({ "hookUrl": "http://127.0.0.1:9/hook", "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &hook).await.expect(201);
    poll(&office).await;
    office.sql(&insert(1_001, 1_030, LONG_AGO)).await;
    poll(&office).await;
    let token = office.token("all").await;
    let unread = "select count(*) from log where log_id between 2001 and 2029";
    office.sql(&insert(2_001, 2_030, LONG_AGO)).await;
    prune(&office.app, &practice()).await.unwrap();
    assert_eq!(office.integer(unread).await, 29, "somebody will read them");
    office.send(&token, "DELETE", "/v1/webhooks", None).await.expect(200);
    prune(&office.app, &practice()).await.unwrap();
    assert_eq!(office.integer(unread).await, 0);
    // A new subscription gets the later rows of the same log.
    office.post("/v1/webhooks/signup", &hook).await.expect(201);
    let sent = office.queue.left().await;
    office.sql(&insert(3_001, 3_001, LATELY)).await;
    poll(&office).await;
    assert_eq!(office.queue.left().await, sent + 1);
    assert_eq!(office.app.control.log_epoch(&practice()).await.unwrap(), 0);
}
on_both_databases!(the_position_of_a_deleted_subscription_blocks_no_pruning);

async fn unread_rows_are_retained_unless_the_platform_disabled_the_subscription(office: Office) {
    let hook = json!({ "hookUrl": "http://127.0.0.1:9/hook", "scopes": ["Patients"] });
    office.post("/v1/webhooks/signup", &hook).await.expect(201);
    // The poller has not started yet.
    office.sql(&insert(2_001, 2_030, LONG_AGO)).await;
    let unread = "select count(*) from log where log_id between 2001 and 2029";
    let left = async |why: &str, rows: i64| {
        prune(&office.app, &practice()).await.unwrap();
        assert_eq!(office.integer(unread).await, rows, "{why}");
    };
    left("never polled", 29).await;
    let id = office.app.control.subscriptions_of(&practice()).await.unwrap()[0].id;
    office.admin("POST", &format!("/v1/admin/webhooks/{id}/pause"), None).await.expect(200);
    left("paused", 29).await;
    let mut subscription = office.app.control.subscriptions_of(&practice()).await.unwrap().remove(0);
    subscription.status = SubscriptionStatus::Disabled;
    subscription.version += 1;
    office.app.control.save_subscription(&subscription, None).await.unwrap();
    left("disabled: a new sign-up starts at the end", 0).await;
}
on_both_databases!(unread_rows_are_retained_unless_the_platform_disabled_the_subscription);

async fn stored_replies_are_retained_until_they_expire(office: Office) {
    let keep = |key: &str, expires_at: i64| {
        format!(
            "insert into idempotency_keys (key_id, method, path, idempotency_key, body_hash, status, \
                response, expires_at)
             values ('k', 'POST', '/', '{key}', 'h', 201, '{{}}', {expires_at})"
        )
    };
    let now = NOW.parse::<jiff::Timestamp>().unwrap().as_second();
    office.sql(&keep("over", now)).await;
    office.sql(&keep("good", now + 1)).await;
    assert_eq!(prune(&office.app, &practice()).await.unwrap(), Pruned { log: 0, answers: 1 });
    assert_eq!(office.integer("select count(*) from idempotency_keys").await, 1);
}
on_both_databases!(stored_replies_are_retained_until_they_expire);

async fn a_deployment_may_retain_every_row(office: Office) {
    office.sql(&rows()).await;
    let keeping = office.another_app(|parts| parts.config.event_log_days = 0);
    assert_eq!(prune(&keeping, &practice()).await.unwrap(), Pruned::default());
    assert_eq!(office.integer("select count(*) from log").await, 60);
}
on_both_databases!(a_deployment_may_retain_every_row);

async fn pruning_stops_after_the_batch_that_reaches_the_limit(office: Office) {
    let insert = "insert into log (log_id, table_name, action, record_id, logged_at)
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
        select i, 'patients', 'insert', i, '2025-01-15T10:00:00Z' from n";
    office.sql(insert).await;
    let now = NOW.parse().unwrap();
    let rows = Prunable { now, before: now, below: LogId(1_200), kept: &[LogId(3)] };
    let prune = async |most| prune_log(&office.db, &rows, most).await.unwrap();
    // Two batches of 500, except for the retained row.
    assert_eq!(prune(501).await, 999);
    assert_eq!(prune(501).await, 199);
    assert_eq!(office.integer("select count(*) from log where log_id in (3, 1200)").await, 2);
}
on_both_databases!(pruning_stops_after_the_batch_that_reaches_the_limit);

#[tokio::test]
async fn admin_actions_are_retained_for_six_years() {
    let office = Office::open(Engine::Sqlite).await;
    office.admin("GET", "/v1/admin/audit", None).await.expect(200);
    let control = office.app.config.tables.control.clone().unwrap();
    let query = office.dynamodb.query().table_name(control).key_condition_expression("pk = :pk");
    let audit = aws_sdk_dynamodb::types::AttributeValue::S("AUDIT".to_owned());
    let found = query.expression_attribute_values(":pk", audit).send().await.unwrap();
    let ends: i64 = found.items()[0]["expiresAt"].as_n().unwrap().parse().unwrap();
    let six_years_later: jiff::Timestamp = "2032-03-09T12:00:00Z".parse().unwrap();
    assert!(six_years_later.as_second() <= ends, "{ends}");
}
