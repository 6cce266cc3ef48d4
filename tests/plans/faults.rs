//! Decides whether a statement reads too much, by its plan and by what it read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::Deserialize;
use serde_json::Value;
use shared::sql::{Conn, Database};
use sqlx::{AssertSqlSafe, Row};

use crate::office::{Engine, statements::Statement};

/// The most rows of a table that one step of a plan reads: more than any page, and a fraction of
/// the large practice's.
const MOST_ROWS: f64 = 1_000.0;
/// The most instructions of an `SQLite` statement: for itself, and for each row that it returns.
/// To read a whole table and compare a column takes more than twice as many.
const MOST_STEPS: u64 = 15_000;
const STEPS_A_ROW: u64 = 2_000;

/// A statement that may read more than others, and why: an entry of `exceptions.json`.
#[derive(Clone, Deserialize)]
pub(super) struct Exception {
    table: String,
    /// A part of the statement, with single spaces.
    statement: String,
    reason: String,
    /// Whether the planner uses an index in some runs: its choice depends on random samples.
    #[serde(default)]
    sometimes: bool,
}

/// Returns the exceptions for an engine.
pub(super) fn exceptions(engine: Engine) -> Vec<Exception> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/plans/exceptions.json");
    let mut all: BTreeMap<String, Vec<Exception>> =
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    all.remove(&format!("{engine:?}")).unwrap()
}

/// The check of all statements.
pub(super) struct Check {
    pub(super) growing: BTreeSet<String>,
    pub(super) exceptions: Vec<Exception>,
    /// `SQLite`'s indexes of few rows: those with a condition.
    pub(super) partial_indexes: Vec<String>,
    used: BTreeSet<usize>,
    /// What is wrong with each statement, and who ran it first.
    pub(super) found: BTreeMap<String, String>,
}

impl Check {
    pub(super) fn new(growing: BTreeSet<String>, exceptions: Vec<Exception>) -> Self {
        let (partial_indexes, used) = (Vec::new(), BTreeSet::new());
        Self { growing, exceptions, partial_indexes, used, found: BTreeMap::new() }
    }

    /// Records a fault, unless it is an exception.
    fn fault(&mut self, who: &str, table: &str, statement: &str, what: &str) {
        let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_it =
            |it: &Exception| (table.is_empty() || it.table == table) && statement.contains(&it.statement);
        if let Some(known) = self.exceptions.iter().position(is_it) {
            self.used.insert(known);
            return;
        }
        self.found.entry(format!("{what}: {statement}")).or_insert_with(|| who.to_owned());
    }

    /// Checks how many instructions `SQLite` executed, with those of the statement's triggers.
    pub(super) fn steps(&mut self, who: &str, statement: &Statement) {
        let most = MOST_STEPS + STEPS_A_ROW * statement.rows;
        if statement.steps > most {
            let what = format!("{} steps for {} rows", statement.steps, statement.rows);
            self.fault(who, "", &statement.text, &what);
        }
    }

    /// Checks the plan that `SQLite` has for a statement.
    pub(super) fn planned(&mut self, who: &str, statement: &str, plan: &[String]) {
        let names = names_of(statement, &self.growing);
        for step in plan {
            let Some(scanned) = step.strip_prefix("SCAN ") else { continue };
            if self.partial_indexes.iter().any(|index| scanned.ends_with(&format!(" INDEX {index}"))) {
                // The number of steps shows how many rows it has.
                continue;
            }
            let name = scanned.split(' ').next().unwrap_or_default();
            if let Some(table) = names.get(name) {
                self.fault(who, table, statement, step);
            }
        }
    }

    /// Checks a plan that `PostgreSQL` executed.
    pub(super) fn executed(&mut self, who: &str, plan: &Value) {
        let statement = plan["Query Text"].as_str().unwrap_or_default().to_owned();
        self.node(who, &statement, &plan["Plan"]);
    }

    fn node(&mut self, who: &str, statement: &str, node: &Value) {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        let table = node["Relation Name"].as_str().unwrap_or_default();
        let number = |name: &str| node[name].as_f64().unwrap_or_default();
        let loops = number("Actual Loops");
        if kind.contains("Scan") && self.growing.contains(table) && loops > 0.0 {
            let each = number("Actual Rows")
                + number("Rows Removed by Filter")
                + number("Rows Removed by Index Recheck");
            let rows = each * loops;
            if kind == "Seq Scan" || rows > MOST_ROWS {
                self.fault(who, table, statement, &format!("{kind} of {table} with {rows} rows"));
            }
        }
        for inner in node["Plans"].as_array().into_iter().flatten() {
            self.node(who, statement, inner);
        }
    }

    /// Fails if there is a fault or an exception that nothing needs.
    pub(super) fn expect_none(&self) {
        let unused: Vec<String> = (0..self.exceptions.len())
            .filter(|index| !self.used.contains(index))
            .map(|index| &self.exceptions[index])
            .filter(|it| !it.sometimes)
            .map(|it| format!("{} ({}): {}", it.table, it.reason, it.statement))
            .collect();
        assert!(
            self.found.is_empty() && unused.is_empty(),
            "these statements read whole tables: {:#?}\nexceptions that nothing needs: {unused:#?}\nUse an \
                index, or list an exception with its reason in tests/plans/exceptions.json.",
            self.found
        );
    }
}

/// Returns the names that a statement has for the tables: their own and aliases.
fn names_of(statement: &str, tables: &BTreeSet<String>) -> BTreeMap<String, String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &str| text[..text.find(|c| !is_word(c)).unwrap_or(text.len())].to_owned();
    let mut names = BTreeMap::new();
    for table in tables {
        for (at, _) in statement.match_indices(table.as_str()) {
            let after = &statement[at + table.len()..];
            if statement[..at].ends_with(is_word) || after.starts_with(is_word) {
                continue;
            }
            names.insert(table.clone(), table.clone());
            let next = after.trim_start();
            let next = next.strip_prefix("as ").map_or(next, str::trim_start);
            // A keyword in place of an alias does no harm: no plan names it.
            if after.starts_with(char::is_whitespace) && !word(next).is_empty() {
                names.insert(word(next), table.clone());
            }
        }
    }
    names
}

/// Returns the names of a database's tables.
pub(super) async fn tables(db: &Database) -> Vec<String> {
    match &mut db.connection().await.unwrap() {
        Conn::Sqlite(connection) => sqlx::query_scalar(
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'",
        )
        .fetch_all(&mut **connection)
        .await
        .unwrap(),
        Conn::Postgres(connection) => {
            sqlx::query_scalar("select tablename::text from pg_tables where schemaname = current_schema()")
                .fetch_all(&mut **connection)
                .await
                .unwrap()
        }
    }
}

/// Returns the names of a database's indexes with a condition, on `SQLite`.
pub(super) async fn partial_indexes(db: &Database) -> Vec<String> {
    let mut conn = db.connection().await.unwrap();
    let Conn::Sqlite(connection) = &mut conn else { return Vec::new() };
    sqlx::query_scalar("select name from sqlite_schema where type = 'index' and lower(sql) like '%where%'")
        .fetch_all(&mut **connection)
        .await
        .unwrap()
}

/// Returns the plan of a statement, from the database that has its tables; `None` for one that
/// reads nothing.
pub(super) async fn explained(databases: [&Database; 2], statement: &str) -> Option<Vec<String>> {
    let begin = statement.split_whitespace().next().unwrap_or_default().to_lowercase();
    if !["select", "insert", "update", "delete", "with"].contains(&begin.as_str()) {
        return None;
    }
    assert!(!statement.contains(';'), "explain one statement at a time: {statement}");
    let mut problem = String::new();
    for db in databases {
        let explain = AssertSqlSafe(format!("explain query plan {statement}"));
        let mut conn = db.connection().await.unwrap();
        let Conn::Sqlite(connection) = &mut conn else { return None };
        match sqlx::query(explain).fetch_all(&mut **connection).await {
            Ok(rows) => return Some(rows.iter().map(|row| row.get("detail")).collect()),
            Err(error) => problem = error.to_string(),
        }
    }
    panic!("{statement}: {problem}");
}
