//! Ids that a sequence with an increment of 1 does not assign: strays, increments, caches.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use serde_json::json;
use shared::{sql::Conn, tenant::TenantDb};

use super::{poll, row, take_log_ids, write};
use crate::{
    office::{Engine, Office, on_both_databases},
    webhooks::sign_up,
};

const URL: &str = "https://partner.example.com/hook";
const STRAY: i64 = 900_000_000_000_000_000;

pub(super) async fn dispatch_state(office: &Office) -> serde_json::Value {
    office.admin("GET", "/v1/admin/webhooks/monitor", None).await.expect(200)["dispatchStates"][0].clone()
}

/// Returns the size of the practice's progress in the store.
async fn stored_bytes(office: &Office) -> usize {
    let text = |text: &str| AttributeValue::S(text.into());
    let control = office.tables.iter().find(|it| it.starts_with("ControlTable")).unwrap();
    let get = office.dynamodb.get_item().table_name(control);
    let item = get.key("pk", text("PRACTICE#DemoOffice")).key("sk", text("DISPATCH")).send().await.unwrap();
    format!("{:?}", item.item.unwrap()).len()
}

async fn a_stray_id_is_sent_once_and_the_log_continues_at_the_old_position(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    for id in [1, 2, STRAY, STRAY + 3] {
        write(&office, id, "claims").await;
    }
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [1, 2, STRAY, STRAY + 3]);
    let islands = json!([{ "from": STRAY, "to": STRAY + 3 }]);
    let state = dispatch_state(&office).await;
    assert_eq!((&state["lastLogId"], &state["islands"]), (&json!(2), &islands));
    write(&office, 5, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [5]);
    // Over a weekend, too.
    office.set_time("2026-03-12T12:00:00Z");
    for id in [3, 4, 6, STRAY + 1] {
        write(&office, id, "claims").await;
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [id]);
    }
    let state = dispatch_state(&office).await;
    assert_eq!((&state["lastLogId"], &state["islands"]), (&json!(6), &islands));
    assert_eq!(state.get("epoch"), None, "no new epoch began");
}
on_both_databases!(a_stray_id_is_sent_once_and_the_log_continues_at_the_old_position);

async fn a_subscription_after_a_stray_id_gets_rows_at_the_old_position(office: Office) {
    for id in [1, 2, STRAY] {
        write(&office, id, "claims").await;
    }
    office.set_time("2026-03-10T12:00:00Z");
    sign_up(&office, URL, &["Claims"]).await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
    for id in [3, 4, STRAY + 1] {
        write(&office, id, "claims").await;
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [id]);
    }
}
on_both_databases!(a_subscription_after_a_stray_id_gets_rows_at_the_old_position);

/// 2,600 rows with ids that are multiples of ten, as some replicated databases assign them.
async fn tens(office: &Office, from: i64, to: i64) {
    let rows: Vec<String> = (from..=to).map(|n| row(n * 10, "claims")).collect();
    office.sql(&rows.join(";")).await;
}

async fn ids_with_an_increment_delay_nothing_and_fit_into_a_small_item(office: Office) {
    sign_up(&office, URL, &["Claims"]).await;
    let mut sent = Vec::new();
    for from in [1, 1_301] {
        tens(&office, from, from + 1_299).await;
        poll(&office).await;
        sent.extend(take_log_ids(&office).await);
    }
    assert_eq!(sent, (1..=2_600).map(|n| n * 10).collect::<Vec<_>>(), "without a pause, each once");
    let bytes = stored_bytes(&office).await;
    assert!(bytes < 12_000, "{bytes}");
    // An old transaction, and a recent one.
    for id in [15, 25_995] {
        write(&office, id, "claims").await;
        poll(&office).await;
        let came = take_log_ids(&office).await;
        assert!(came.contains(&id) && came.len() <= 201, "{id} among {}", came.len());
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
    }
    assert_eq!(dispatch_state(&office).await["lastLogId"], 26_000);
}
on_both_databases!(ids_with_an_increment_delay_nothing_and_fit_into_a_small_item);

async fn a_subscription_to_a_log_with_an_increment_gets_only_new_rows(office: Office) {
    tens(&office, 1, 1_500).await;
    office.set_time("2026-03-09T13:00:00Z");
    sign_up(&office, URL, &["Claims"]).await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, Vec::<i64>::new());
    write(&office, 15_010, "claims").await;
    poll(&office).await;
    assert_eq!(take_log_ids(&office).await, [15_010]);
}
on_both_databases!(a_subscription_to_a_log_with_an_increment_gets_only_new_rows);

async fn run(conn: &mut Conn, text: &str) {
    let Conn::Postgres(connection) = conn else { panic!("PostgreSQL") };
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut **connection).await.unwrap();
}

async fn session(db: &TenantDb) -> Conn {
    db.connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_blocks_that_sessions_use_for_hours_are_read_completely() {
    let office = Office::open(Engine::Postgres).await;
    sign_up(&office, URL, &["Claims"]).await;
    let insert =
        "insert into log (table_name, action, record_id, logged_at) values ('claims', 'I', 1, now())";
    let (mut quick, mut slow) = (session(&office.db).await, session(&office.db).await);
    run(&mut quick, "alter table log alter column log_id set cache 1000").await;
    run(&mut slow, insert).await;
    for hour in 1..=6 {
        run(&mut quick, &vec![insert; 400].join(";")).await;
        poll(&office).await;
        let expected = 400 + usize::from(hour == 1);
        assert_eq!(take_log_ids(&office).await.len(), expected);
        office.set_time(&(office.app.clock.now() + SignedDuration::from_hours(5)).to_string());
        run(&mut slow, insert).await;
        poll(&office).await;
        assert_eq!(take_log_ids(&office).await, [hour + 1], "after {} hours", 5 * hour);
    }
}
