//! The work of the migrate function for the operators' bridge commands.

use jiff::SignedDuration;
use migrate::{DatabaseOutcome, Status, Task};
use serde_json::json;
use shared::tenant::{Bridge, bridge};

use super::{attached, emr, event, run, text};
use crate::office::{Engine, Office, run_sql};

async fn work(office: &Office, work: &str, bridge: Option<&str>) -> DatabaseOutcome {
    let app = office.another_app(|_| ());
    let deadline = app.clock.now() + SignedDuration::from_mins(15);
    let task = json!({ "bridge": { "practice": "DemoOffice", "work": work, "bridge": bridge } });
    let task: Task = serde_json::from_value(task).unwrap();
    migrate::run(&app, task, deadline).await.results.remove(0).outcome
}

/// Returns the findings, or the error.
async fn told(office: &Office, what: &str, bridge: Option<&str>) -> (Status, String) {
    let outcome = work(office, what, bridge).await;
    (outcome.status, outcome.error.unwrap_or_else(|| outcome.found.join("; ")))
}

const NAME: Option<&str> = Some("openemr-postgresql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_migrate_function_attaches_maintains_and_detaches_a_practice() {
    let office = Office::open(Engine::Postgres).await;
    let mut program = emr(office.dsn()).await;
    if std::env::var_os("TEST_ATTACHED").is_some() {
        Bridge::named("openemr-postgresql").unwrap().remove(&office.db).await.unwrap();
    } else {
        let (status, said) = told(&office, "plan", NAME).await;
        assert!(status == Status::Failed && said.contains("does not exist"), "{said}");
        run(&mut program, include_str!("openemr.sql")).await;
    }
    for task in ["check", "repair", "trial", "detach"] {
        let (status, said) = told(&office, task, None).await;
        assert!(status == Status::Failed && said.contains("is not attached to an EMR"), "{task}: {said}");
    }
    assert_eq!(told(&office, "name", None).await, (Status::Usable, String::new()));
    let (status, said) = told(&office, "attach", Some("nothing")).await;
    assert!(
        status == Status::Failed && said.contains("unknown bridge nothing; available: openemr-postgresql"),
        "{said}"
    );
    run(&mut program, &event(5, "1", "1001", "2031-03-10", "10:00", 30)).await;
    let (status, said) = told(&office, "plan", NAME).await;
    assert!(status == Status::Usable && said.contains("3 patients and 1 events"), "{said}");
    assert!(Bridge::of(&office.db).await.unwrap().is_none());

    let (status, said) = told(&office, "attach", NAME).await;
    assert!(status == Status::Usable && said.contains("copied"), "{said}");
    assert_eq!(office.integer("select count(*) from visits where visit_date = '2031-03-10'").await, 1);
    assert_eq!(office.integer("select count(*) from log").await, 0, "loading creates no events");
    assert_eq!(told(&office, "attach", NAME).await.0, Status::Usable, "attaching again changes nothing");
    assert_eq!(told(&office, "name", None).await.1, NAME.unwrap());
    assert_eq!(told(&office, "check", None).await, (Status::Usable, "Both sides match.".to_owned()));
    assert_eq!(told(&office, "trial", None).await.0, Status::Usable);
    assert_eq!(told(&office, "check", None).await.0, Status::Usable, "the trial left nothing");

    run_sql(
        &office.db,
        "drop function bridge_hook_event(), bridge_hook_patient(), bridge_hook_provider(), \
        bridge_hook_rooms(), bridge_hook_visit_type() cascade",
    )
    .await;
    run(&mut program, &event(5, "2", "1002", "2031-03-10", "10:00", 30)).await;
    let (status, said) = told(&office, "check", None).await;
    assert!(
        status == Status::Failed
            && said.contains("without our triggers: 5")
            && said.contains("event: missing: 1")
            && said.ends_with("run `check-practice DemoOffice --repair`; it changes only our rows.")
            && !said.starts_with("DemoOffice"),
        "{said}"
    );
    let (status, said) = told(&office, "repair", None).await;
    assert!(status == Status::Usable && said.contains("rows, repaired 1"), "{said}");

    // A finding that a repair cannot correct does not suggest one.
    run(&mut program, "update openemr_postcalendar_events set pc_catid = 99").await;
    let (status, said) = told(&office, "check", None).await;
    assert!(
        status == Status::Failed && said.contains("without a meaning here") && !said.contains("--repair"),
        "{said}"
    );
    run(&mut program, "update openemr_postcalendar_events set pc_catid = 5").await;

    // Each deployment's migration renews the bridge.
    run_sql(&office.db, "drop function bridge_trial()").await;
    let app = office.another_app(|_| ());
    let deadline = app.clock.now() + SignedDuration::from_mins(15);
    let task = Task { practices: vec!["DemoOffice".to_owned()], ..Task::default() };
    let migrated = migrate::run(&app, task, deadline).await.results.remove(0).outcome;
    assert_eq!(migrated.error, None);
    assert_eq!(bridge::try_out(&office.db).await.unwrap(), Vec::<String>::new());

    assert_eq!(told(&office, "detach", None).await.0, Status::Usable);
    let triggers =
        "select count(*) from pg_trigger where tgname like 'partner_api%' or tgname like '%write_through%'";
    assert_eq!(text(&mut program, triggers).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_that_another_bridge_attaches_must_be_detached_first() {
    let (office, _) = attached().await;
    let (status, said) = told(&office, "attach", Some("openemr-mariadb")).await;
    assert_eq!(status, Status::Failed);
    assert!(said.contains("it is attached by openemr-postgresql; detach it first"), "{said}");
}

/// As after a rollback of this program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_that_a_bridge_of_a_newer_release_attaches_is_left_alone() {
    let (office, _) = attached().await;
    run_sql(&office.db, "update bridge set name = 'of-the-future'").await;
    for task in ["name", "check", "repair", "detach"] {
        let (status, said) = told(&office, task, None).await;
        assert_eq!(status, Status::Failed, "{task}");
        assert!(said.contains("attached by the unknown bridge \"of-the-future\""), "{task}: {said}");
    }
    assert_eq!(told(&office, "attach", NAME).await.0, Status::Failed);
}

/// After an upgrade of the EMR that the bridge's SQL does not fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_the_emrs_new_tables_prevent_says_so() {
    let (office, mut program) = attached().await;
    run(&mut program, "alter table openemr_postcalendar_events rename pc_room to other").await;
    let (status, said) = told(&office, "repair", None).await;
    assert_eq!(status, Status::Failed);
    assert!(said.contains("the EMR's tables have changed") && said.contains("pc_room"), "{said}");
    run(&mut program, "alter table openemr_postcalendar_events rename other to pc_room").await;
    assert_eq!(told(&office, "repair", None).await.0, Status::Usable);
}
