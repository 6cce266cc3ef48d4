//! No call reads a whole table that grows with the practice.
//!
//! Every operation of the description is called in a large practice: its example, and further
//! requests that the description allows. Each statement that runs is observed where it runs, so a
//! new endpoint or statement is checked without being listed here.
//!
//! A new table must be filled in `office/large.rs`, or listed as one that does not grow.

mod faults;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use shared::{
    auth::{CatalogGrant, PracticeGrant},
    domain::PracticePass,
    sql::Database,
};

use crate::{
    access_matrix::{Access, operations},
    canary::Description,
    office::{
        Engine, Office,
        large::ROWS,
        statements::{Observed, count_steps, observe},
    },
    pipeline,
    reference::{Example, Stage, credential, examples},
    webhooks::sign_up,
};
use faults::Check;

/// Tables that do not grow with a practice's work, and why.
const STABLE: [(&str, &str); 11] = [
    ("providers", "people of the practice"),
    ("working_hours", "a few for each provider"),
    ("resources", "rooms of the practice"),
    ("visit_types", "the practice's own list"),
    ("visit_type_providers", "a few for each visit type"),
    ("visit_type_resources", "a few for each visit type"),
    ("tags", "the practice's own list"),
    ("tenant_identity", "one row"),
    ("zone_offsets", "two rows a year, of a few hundred years"),
    ("unindexed_patients", "patients leave it within a minute, in parts"),
    ("_sqlx_migrations", "one row a release"),
];

fn practice() -> PracticePass {
    PracticePass::try_from("DemoOffice").unwrap()
}

/// Returns the tables that grow; each has many rows.
async fn growing(office: &Office, engine: Engine) -> BTreeSet<String> {
    let mut growing = BTreeSet::new();
    for db in [&*office.db, &*office.catalog] {
        for table in faults::tables(db).await {
            if STABLE.iter().any(|(name, _)| *name == table) {
                continue;
            }
            let rows = crate::office::integer(db, &format!("select count(*) from {table}")).await;
            assert!(
                rows >= ROWS - 1,
                "{table} has {rows} rows: fill it in tests/office/large.rs, or list it in STABLE ({engine:?})"
            );
            growing.insert(table);
        }
    }
    assert!(growing.len() >= 11, "{growing:?}");
    growing
}

/// Everything that was observed, by the work that ran it.
struct Sweep {
    engine: Engine,
    check: Check,
    /// The statements that `SQLite` ran, with who ran them first.
    statements: BTreeMap<String, String>,
    /// An office whose databases explain the statements.
    office: Office,
}

impl Sweep {
    async fn new(engine: Engine) -> Self {
        let office = Office::open_large(engine).await;
        let mut check = Check::new(growing(&office, engine).await, faults::exceptions(engine));
        for db in [&*office.db, &*office.catalog] {
            check.partial_indexes.extend(faults::partial_indexes(db).await);
        }
        Self { engine, check, statements: BTreeMap::new(), office }
    }

    fn add(&mut self, who: &str, seen: Observed) {
        for statement in seen.statements {
            self.check.steps(who, &statement);
            if self.engine == Engine::Sqlite {
                self.statements.entry(statement.text).or_insert_with(|| who.to_owned());
            }
        }
        for plan in &seen.plans {
            self.check.executed(who, plan);
        }
    }

    /// Checks the plans of all statements.
    async fn check_plans(&mut self) {
        let databases = [&*self.office.db, &*self.office.catalog];
        for (text, who) in &self.statements {
            if let Some(plan) = faults::explained(databases, text).await {
                self.check.planned(who, text, &plan);
            }
        }
    }
}

/// Prepares the office so that all further statements of its functions can be observed.
async fn watch(office: &Office) {
    let db = office.app.open(&PracticeGrant::for_operations(practice())).await.unwrap();
    count_steps(&db, 8).await;
    let catalog = office.app.open_catalog(&CatalogGrant::for_operations()).await.unwrap();
    count_steps(&catalog, 8).await;
}

/// Sends the example and its variations; returns how many statements ran.
async fn call(sweep: &mut Sweep, description: &Description, example: &Example, access: &Access) -> usize {
    let stage = Stage::of(Office::open_large(sweep.engine).await).await;
    watch(&stage.office).await;
    let operation = description.operation(&example.operation);
    let (mut ran, mut sent) = (0, 0);
    loop {
        let arranged = stage.arrange(example).await;
        let Some(request) = requests::variation(description, operation, &arranged, sent) else { break };
        let credential = credential(&stage.office, access).await;
        let mut headers: Vec<(&str, &str)> =
            credential.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let key = format!("key-{sent}");
        if request.is_idempotent {
            headers.push(("idempotency-key", &key));
        }
        let (reply, seen) = observe(stage.send(&request.sent, &headers)).await;
        let who = format!("{} ({})", example.operation, request.name);
        assert!(reply.status.as_u16() < 500, "{who}: {}", reply.body);
        if sent == 0 {
            let statuses = &example.answers;
            assert!(statuses.contains_key(reply.status.as_str()), "{who}: {} {}", reply.status, reply.body);
        }
        ran += seen.statements.len();
        sweep.add(&who, seen);
        sent += 1;
        if ran == 0 {
            // An operation of the control plane.
            break;
        }
    }
    ran
}

/// What the poller does for a practice.
async fn poll(sweep: &mut Sweep) {
    let office = Office::open_large(sweep.engine).await;
    watch(&office).await;
    sign_up(&office, "https://partner.example.com/hook", &["Patients"]).await;
    sweep.add("the first poll", observe(pipeline::poll(&office)).await.1);
    // Two rows with a gap in between, and patients of the EMR.
    office
        .sql(
            "insert into log (log_id, table_name, action, record_id, logged_at) values
                 (300001, 'patients', 'insert', 1, '2026-03-09T12:00:00Z'),
                 (300003, 'patients', 'insert', 2, '2026-03-09T12:00:00Z');
             insert into patients (patient_id, first_name, last_name, full_name, created_at, updated_at)
                 select patient_id + 200000, 'New', 'New', 'New New', created_at, updated_at from patients
                 where patient_id between 100001 and 100120;",
        )
        .await;
    sweep.add("a poll", observe(pipeline::poll(&office)).await.1);
    assert_eq!(office.integer("select count(*) from unindexed_patients where patient_id > 300000").await, 0);
    sweep.add("a poll without news", observe(pipeline::poll(&office)).await.1);
    let later = office.app.clock.now() + SignedDuration::from_hours(1);
    office.set_time(&later.to_string());
    sweep.add("the daily deletion", observe(log_poller::prune(&office.app, &practice())).await.1);
}

async fn sweep(engine: Engine) {
    let access: BTreeMap<String, Access> =
        operations().into_iter().map(|it| (it.name(), it.access)).collect();
    let description = Description::read();
    let mut sweep = Sweep::new(engine).await;
    let mut with_statements = 0;
    for example in examples() {
        let ran = call(&mut sweep, &description, &example, &access[&example.operation]).await;
        with_statements += usize::from(ran > 0);
    }
    assert!(with_statements >= 32, "only {with_statements} operations ran statements");
    Box::pin(poll(&mut sweep)).await;
    sweep.check_plans().await;
    sweep.check.expect_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_reads_a_whole_table_on_sqlite() {
    Box::pin(sweep(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_reads_a_whole_table_on_postgres() {
    Box::pin(sweep(Engine::Postgres)).await;
}

/// Statements that read a whole table, each in another way.
const WRONG: [&str; 5] = [
    // A question of existence that no index answers.
    "select exists (select 1 from patients where patient_id + 0 = -1)",
    "select count(*) from patients",
    "select count(*) from visits v where v.visit_notes is not null",
    "select max(comment_id) from ticket_comments where author = 'nobody'",
    // The trigger reads one visit, but the statement finds it by its notes.
    "update visits set status = 'Cancelled' where visit_notes = 'none'",
];

/// Returns what is wrong with a statement.
async fn faults_of(sweep: &mut Sweep, db: &Database, statement: &str) -> BTreeMap<String, String> {
    let ((), seen) = observe(crate::office::run_sql(db, statement)).await;
    assert!(!seen.statements.is_empty(), "{statement}");
    sweep.add("a test", seen);
    sweep.check_plans().await;
    sweep.statements.clear();
    std::mem::take(&mut sweep.check.found)
}

async fn each(engine: Engine) {
    let mut sweep = Sweep::new(engine).await;
    sweep.check.exceptions.clear();
    let db = sweep.office.app.open(&PracticeGrant::for_operations(practice())).await.unwrap();
    count_steps(&db, 8).await;
    for statement in WRONG {
        let found = faults_of(&mut sweep, &db, statement).await;
        assert!(!found.is_empty(), "not found: {statement}");
    }
    let by_key = "select count(*) from visits where patient_id = 100001";
    let found = faults_of(&mut sweep, &db, by_key).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_reads_a_whole_table_is_found_on_sqlite() {
    Box::pin(each(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_reads_a_whole_table_is_found_on_postgres() {
    Box::pin(each(Engine::Postgres)).await;
}
