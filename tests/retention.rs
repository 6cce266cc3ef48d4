//! What is deleted because it has been kept for long enough, and what is not.

use log_poller::{Poll, Pruned, prune};
use serde_json::json;
use shared::{
    domain::{PracticePass, ids::LogId},
    tenant::retention::prune_log,
};

use crate::office::{Engine, NOW, Office, on_both_databases};

/// Rows 1 to 40 of more than 400 days ago, 41 to 60 of less.
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

on_both_databases! {
    async fn old_rows_of_a_log_that_nobody_reads_go_and_young_ones_stay(office) {
        office.sql(&rows()).await;
        // Whose time can't be read stays, and so does the newest row of all.
        if !office.is_postgres().await {
            office.sql("update log set logged_at = 'yesterday' where log_id = 7").await;
            office.sql("update log set logged_at = '1795860000' where log_id = 8").await;
        }
        let pruned = prune(&office.app, &practice()).await.unwrap();
        let expected = if office.is_postgres().await { 40 } else { 7 - 1 };
        assert_eq!(pruned, Pruned { log: expected, answers: 0 });
        assert_eq!(office.integer(YOUNG).await, 20);
        assert_eq!(prune(&office.app, &practice()).await.unwrap().log, 0);
    }
}

on_both_databases! {
    async fn only_what_was_read_goes_and_the_poller_knows_the_log_again(office) {
        let hook = json!({ "hookUrl": "http://127.0.0.1:9/hook", "scopes": ["Patients"] });
        office.post("/v1/webhooks/signup", &hook).await.expect(201);
        poll(&office).await;
        office.sql(&rows()).await;
        // The rows are there, but nobody has read them: none goes, however old.
        assert_eq!(prune(&office.app, &practice()).await.unwrap().log, 0);
        poll(&office).await;
        let sent = office.queue.left().await;
        let pruned = prune(&office.app, &practice()).await.unwrap().log;
        let left = office.integer(OLD).await;
        assert!(pruned > 0 && pruned.cast_signed() + left == 40, "{pruned} went, {left} stayed");
        // By these the poller finds its place again when the newest rows are lost.
        let state = office.app.control.dispatch_states(Some(&practice())).await.unwrap().remove(0);
        let remembered = state.progress.anchors.ids().filter(|id| id.0 <= 40).count();
        assert!(remembered > 0 && i64::try_from(remembered).unwrap() == left, "{remembered} of {left}");
        assert_eq!(office.integer(YOUNG).await, 20);
        // The log isn't taken for another one, and nothing is sent again.
        poll(&office).await;
        assert_eq!(office.app.control.log_epoch(&practice()).await.unwrap(), 0);
        assert_eq!(office.queue.left().await, sent);
    }
}

on_both_databases! {
    async fn answers_are_kept_until_they_expire(office) {
        let keep = |key: &str, expires_at: i64| {
            format!(
                "insert into idempotency_keys (key_id, method, path, idempotency_key, body_hash, status, response, expires_at)
                 values ('k', 'POST', '/', '{key}', 'h', 201, '{{}}', {expires_at})"
            )
        };
        let now = NOW.parse::<jiff::Timestamp>().unwrap().as_second();
        office.sql(&keep("over", now)).await;
        office.sql(&keep("good", now + 1)).await;
        assert_eq!(prune(&office.app, &practice()).await.unwrap(), Pruned { log: 0, answers: 1 });
        assert_eq!(office.integer("select count(*) from idempotency_keys").await, 1);
    }
}

on_both_databases! {
    async fn a_deployment_may_keep_every_row(office) {
        office.sql(&rows()).await;
        let keeping = office.another_app(|parts| parts.config.event_log_days = 0);
        assert_eq!(prune(&keeping, &practice()).await.unwrap(), Pruned::default());
        assert_eq!(office.integer("select count(*) from log").await, 60);
    }
}

on_both_databases! {
    async fn a_day_deletes_no_more_rows_than_its_share(office) {
        let insert = "insert into log (log_id, table_name, action, record_id, logged_at)
            with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
            select i, 'patients', 'insert', i, '2025-01-15T10:00:00Z' from n";
        office.sql(insert).await;
        let before = NOW.parse().unwrap();
        let prune = async |most| prune_log(&office.db, before, LogId(1_200), &[LogId(3)], most).await.unwrap();
        // Two batches of 500, but for the row that is kept.
        assert_eq!(prune(501).await, 999);
        assert_eq!(prune(501).await, 199);
        assert_eq!(office.integer("select count(*) from log where log_id in (3, 1200)").await, 2);
    }
}

#[tokio::test]
async fn what_administrators_did_is_kept_for_six_years() {
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
