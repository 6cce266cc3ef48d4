//! The operators' commands, whose work takes several invocations of the migrate function.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, extract::State};
use jiff::SignedDuration;
use migrate::{MigrateResponse, Task};
use officepro_operator::{EdgeSecret, Invoker, Operator, SecretNames, SecretValues};
use shared::{
    app::App,
    control::{Queue, Store},
    tenant::Bridge,
};

use super::{emr, event, run, text};
use crate::office::{Engine, Office, run_sql};

/// Stands in for the migrate function. Its invocations end after one batch each.
#[derive(Clone)]
struct Function {
    app: App,
    calls: Arc<AtomicUsize>,
}

async fn invoke(State(function): State<Function>, task: String) -> Json<MigrateResponse> {
    let task: Task = serde_json::from_str(&task).unwrap();
    function.calls.fetch_add(1, Ordering::Relaxed);
    let deadline = function.app.clock.now() + SignedDuration::from_secs(30);
    Json(migrate::run(&function.app, task, deadline).await)
}

/// An operator of this office, and the number of invocations so far.
async fn operator(office: &Office) -> (Operator, Arc<AtomicUsize>) {
    let function = Function { app: office.another_app(|_| ()), calls: Arc::default() };
    let calls = function.calls.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(axum::routing::post(invoke)).with_state(function);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let operator = Operator {
        control: Store::with_client(office.dynamodb.clone(), office.app.config.tables.clone()),
        queue: Queue::new(None, None, None),
        secrets: SecretValues::in_aws(String::new()),
        names: SecretNames {
            token_keys: String::new(),
            admin_secrets: String::new(),
            catalog: String::new(),
            edge: EdgeSecret { id: String::new(), shown: None },
            practices: String::new(),
        },
        invoker: Invoker::Local { url, access_key: String::new() },
        api_url: String::new(),
        data_dir: None,
    };
    (operator, calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_a_bridge_go_on_until_they_are_finished() {
    let office = Office::open(Engine::Postgres).await;
    let mut program = emr(office.dsn()).await;
    let bridge = Bridge::named("openemr-postgresql").unwrap();
    if std::env::var_os("TEST_ATTACHED").is_some() {
        bridge.remove(&office.db).await.unwrap();
    } else {
        run(&mut program, include_str!("openemr.sql")).await;
    }
    run(&mut program, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    let (operator, calls) = operator(&office).await;
    let invoked = || calls.swap(0, Ordering::Relaxed);
    let attach = async |practice: &str, apply| operator.attach_practice(practice, bridge.name, apply).await;
    let check = async |repair, trial| operator.check_practice("DemoOffice", repair, trial).await;

    for refused in [check(false, false).await, operator.detach_practice("DemoOffice").await] {
        assert!(refused.unwrap_err().to_string().contains("is not attached to an EMR"));
    }
    attach("Nobody", true).await.unwrap_err();
    operator.detach_practice("Nobody").await.unwrap_err();
    assert_eq!(invoked(), 2, "a practice that is not registered is none of the function's");
    attach("DemoOffice", false).await.unwrap();
    assert!(Bridge::of(&office.db).await.unwrap().is_none(), "without --apply, nothing is changed");

    invoked();
    attach("DemoOffice", true).await.unwrap();
    assert!(invoked() > 1);
    let copied = "select count(*) from partner_api.visits where visit_date = '2031-03-10'";
    assert_eq!(text(&mut program, copied).await, "1");
    check(false, true).await.unwrap();
    assert_eq!(invoked(), 2, "the check and the trial");

    run_sql(&office.db, "alter table public.openemr_postcalendar_events disable trigger user").await;
    run(&mut program, &event(5, "2", "1002", "2031-03-10", "10:00", 30)).await;
    let said = check(false, true).await.unwrap_err().to_string();
    assert!(said.contains("event: missing: 1"), "{said}");
    assert_eq!(invoked(), 1, "no trial of a bridge with findings");
    check(true, false).await.unwrap();
    assert!(invoked() > 1);
    assert_eq!(text(&mut program, copied).await, "2");

    let change = async |city| {
        let body = serde_json::json!({ "City": city });
        office.put("/v1/DemoOffice/prospects/1001", &body).await.expect(200);
    };
    change("Oslo").await;
    operator.detach_practice("DemoOffice").await.unwrap();
    assert!(Bridge::of(&office.db).await.unwrap().is_none());
    // A process that knows the practice as attached can still change its rows.
    change("Rome").await;
    assert_eq!(text(&mut program, "select city from patient_data where pid = 1001").await, "Oslo");
}
