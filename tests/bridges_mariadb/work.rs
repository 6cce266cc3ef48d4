//! The work of the migrate function for the operators' bridge commands.

use jiff::SignedDuration;
use migrate::{Status, Task};
use serde_json::json;
use shared::{app::App, control::Secrets, tenant::Bridge};
use sqlx::Executor;

use super::{attached, event, one, session};
use crate::office::{Office, mariadb};

const NAME: Option<&str> = Some("openemr-mariadb");

/// Returns the findings, or the error.
async fn told(app: &App, work: &str, bridge: Option<&str>) -> (Status, String) {
    let deadline = app.clock.now() + SignedDuration::from_mins(15);
    let task = json!({ "bridge": { "practice": "DemoOffice", "work": work, "bridge": bridge } });
    let task: Task = serde_json::from_value(task).unwrap();
    let outcome = migrate::run(app, task, deadline).await.results.remove(0).outcome;
    (outcome.status, outcome.error.unwrap_or_else(|| outcome.found.join("; ")))
}

fn with_secret(office: &Office, line: &str) -> App {
    let secret = format!("{}\n{line}", office.dsn());
    office.another_app(|parts| parts.secrets = Secrets::fixed([("DSN_DEMOOFFICE", secret.as_str())]))
}

/// The EMR's schema and rows, with routines and triggers.
fn dump(emr: &str) -> String {
    let mut dump = std::process::Command::new("mariadb-dump");
    let client = mariadb::client("");
    let connection =
        client.get_args().filter(|it| !["--skip-column-names", "--batch"].iter().any(|no| it == no));
    let done = dump
        .args(connection)
        .args(["--routines", "--triggers", "--skip-dump-date", "--skip-comments"])
        .arg(emr)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Takes each step that the plan lists as missing, until the practice can be attached.
async fn prepare_both_servers(office: &Office, session: &mut sqlx::PgConnection, emr: &str) -> App {
    let (status, said) = told(&office.another_app(|_| ()), "plan", NAME).await;
    assert!(status == Status::Failed && said.contains("its secret names no EMR"), "{said}");
    let app = with_secret(office, &mariadb::address(emr));
    let (_, said) = told(&app, "plan", NAME).await;
    assert!(
        said.contains(
            "the administrator of PostgreSQL must run in this database: create extension mysql_fdw;"
        ),
        "{said}"
    );
    session.execute("create extension mysql_fdw schema public").await.unwrap();
    let (_, said) = told(&app, "plan", NAME).await;
    assert!(
        said.contains("MariaDB cannot be reached with the account in the secret: Access denied"),
        "{said}"
    );
    mariadb::run(
        emr,
        &format!(
            "create user '{emr}'@'%' identified by 'p@ss/w:rd?' require ssl; grant select on {emr}.users to \
                '{emr}'@'%'"
        ),
    );
    let (_, said) = told(&app, "plan", NAME).await;
    assert!(
        said.contains("the EMR's account must grant the privileges") && said.contains("patient_data"),
        "{said}"
    );
    assert_eq!(told(&app, "attach", NAME).await.0, Status::Failed);
    assert!(Bridge::of(&office.db).await.unwrap().is_none(), "a failed attempt leaves nothing");
    mariadb::run(emr, &format!("drop user '{emr}'@'%'"));
    mariadb::add_ours(emr);
    let (status, said) = told(&app, "plan", NAME).await;
    assert!(status == Status::Usable && said.contains("3 patients and 1 events"), "{said}");
    assert_eq!(one(session, "select count(*) from pg_foreign_server").await, "0", "a plan changes nothing");
    let wrong = mariadb::address(emr).replace("rd%3F", "rong");
    let (_, said) = told(&with_secret(office, &wrong), "attach", NAME).await;
    assert!(said.contains("Access denied") && !said.contains("rong") && !said.contains("p@ss"), "{said}");
    let unknown = mariadb::address(emr)
        .replace(&std::env::var("TEST_POSTGRES_CA").unwrap(), "/etc/ssl/certs/ca-certificates.crt");
    let (_, said) = told(&with_secret(office, &unknown), "attach", NAME).await;
    assert!(said.contains("certificate"), "an unknown authority: {said}");
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn attaching_names_what_both_servers_lack_and_detaching_undoes_it() {
    let (office, first) = attached().await;
    Bridge::named("openemr-mariadb").unwrap().remove(&office.db).await.unwrap();
    assert!(!mariadb::run(&first, "show tables").contains("partner_api"));
    let mut session = session(&office).await;
    session.execute("drop extension mysql_fdw").await.unwrap();
    let emr = format!("{first}_b");
    mariadb::create_bare(&emr);
    mariadb::run(&emr, &event(5, "1", "1001", "2031-03-10", "10:00", 30));
    let bare = dump(&emr);

    let app = prepare_both_servers(&office, &mut session, &emr).await;
    let (status, said) = told(&app, "attach", NAME).await;
    assert!(status == Status::Usable && said.contains("Both sides match."), "{said}");
    assert_eq!(office.integer("select count(*) from visits where visit_date = '2031-03-10'").await, 1);
    assert_eq!(office.integer("select count(*) from log").await, 0, "loading creates no events");
    assert_eq!(told(&app, "attach", NAME).await.0, Status::Usable, "attaching again changes nothing");
    let before = mariadb::run(&emr, "select * from openemr_postcalendar_events; select * from patient_data");
    assert_eq!(
        told(&app, "trial", None).await,
        (
            Status::Usable,
            "Visits, cancellations and patient changes arrive in both directions. All was rolled back."
                .to_owned()
        )
    );
    assert_eq!(
        mariadb::run(&emr, "select * from openemr_postcalendar_events; select * from patient_data"),
        before,
        "the trial left nothing"
    );
    assert_eq!(told(&app, "check", None).await, (Status::Usable, "Both sides match.".to_owned()));

    mariadb::run(
        &emr,
        &format!(
            "drop trigger partner_api_insert_openemr_postcalendar_events; {}",
            event(5, "2", "1002", "2031-03-10", "10:00", 30)
        ),
    );
    let (status, said) = told(&app, "check", None).await;
    assert!(
        status == Status::Failed
            && said.contains("a trigger of the bridge is missing in MariaDB: 1")
            && said.contains("event: missing: 1"),
        "{said}"
    );
    let (status, said) = told(&app, "repair", None).await;
    assert!(status == Status::Usable && said.contains("rows, repaired 1"), "{said}");
    // The connection uses a new password in the secret after the next repair.
    mariadb::run(&emr, &format!("alter user '{emr}'@'%' identified by 'new'"));
    let renewed = mariadb::address(&emr).replace("p%40ss%2Fw%3Ard%3F", "new");
    assert_eq!(told(&with_secret(&office, &renewed), "repair", None).await.0, Status::Usable);

    assert_eq!(told(&app, "detach", None).await.0, Status::Usable);
    mariadb::run(&emr, "delete from openemr_postcalendar_events where pc_pid = '1002'");
    let strip = |text: String| {
        let lines =
            text.lines().map(|line| line.split(" AUTO_INCREMENT=").next().unwrap_or_default().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    };
    // The trial's patient fired the EMR's own trigger, which writes a log.
    mariadb::run(&emr, "delete from log where id > 3");
    assert_eq!(strip(dump(&emr)), strip(bare));
    let left = "select (select count(*) from pg_foreign_server) + (select count(*) from pg_class where \
        relnamespace = 'partner_api'::regnamespace
        and (relname like 'bridge%' or relname like 'emr%' or relname like 'openemr%'))
        + (select count(*) from pg_proc where pronamespace = 'partner_api'::regnamespace and (proname like \
        'bridge%' or proname like 'emr%'))";
    assert_eq!(one(&mut session, left).await, "0");
}

/// As after a change of `MariaDB`'s settings or of the client library.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/mariadb"]
async fn an_unencrypted_or_refused_connection_is_named_and_not_used() {
    let (office, emr) = attached().await;
    let bridge = Bridge::named("openemr-mariadb").unwrap();
    let secret = format!("postgres://\n{}", mariadb::address(&emr));
    let wrong = secret.replace("rd%3F", "rong");
    let refused = bridge.install_with(&office.db, &wrong).await.unwrap_err().to_string();
    assert!(refused.contains("cannot be reached with the account in the secret"), "{refused}");
    assert!(!refused.contains("rong"), "{refused}");
    let mut session = session(&office).await;
    session
        .execute(
            "drop foreign table emr_session;
            create table emr_session (variable_name text, variable_value text)",
        )
        .await
        .unwrap();
    let refused = bridge.install_with(&office.db, &secret).await.unwrap_err().to_string();
    assert!(refused.contains("the connection is not encrypted"), "{refused}");
    let (status, said) = told(&with_secret(&office, &mariadb::address(&emr)), "check", None).await;
    assert!(
        status == Status::Failed
            && said.contains("the connection to MariaDB is not encrypted: 1")
            && !said.contains("--repair"),
        "{said}"
    );
}
