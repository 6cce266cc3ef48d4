//! Unreadable rows of the EMR: logged once, counted, and kept for the control plane.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::civil::Date;

use crate::{domain::PracticePass, telemetry::metrics};

/// The most rows to remember for one table; further rows are not reported.
const MAX_ROWS: usize = 500;
/// The most tables to remember, over all practices.
const MAX_TABLES: usize = 2_000;
/// Longest id, in characters.
const MAX_ID: usize = 100;

/// Unreadable rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataProblem {
    /// `None` for the catalog.
    pub practicepass: Option<PracticePass>,
    pub table: &'static str,
    /// The primary keys of the rows, in the order they were read; at most 500.
    pub ids: Vec<String>,
}

/// The unreadable rows that this process has read.
#[derive(Debug, Default)]
pub struct DataProblems(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The day for which the rows are known.
    ///
    /// Rows that are still unreadable the next day are reported again.
    day: Option<Date>,
    tables: BTreeMap<(Option<PracticePass>, &'static str), Table>,
}

#[derive(Debug, Default)]
struct Table {
    known: BTreeSet<String>,
    /// The known rows that are not in the control plane yet.
    unwritten: Vec<String>,
}

impl DataProblems {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, practicepass: Option<&PracticePass>, table: &'static str, id: &str) {
        let id: String = id.chars().take(MAX_ID).collect();
        if !self.is_new(practicepass, table, &id) {
            return;
        }
        tracing::warn!(
            target: metrics::DATA_PROBLEMS,
            UnreadableRows = 1,
            practice = practicepass.map(PracticePass::as_str),
            table,
            record = id,
            "a row of the EMR could not be read"
        );
    }

    fn is_new(&self, practicepass: Option<&PracticePass>, table: &'static str, id: &str) -> bool {
        let mut state = self.state();
        let tables = state.tables.len();
        let rows = match state.tables.entry((practicepass.cloned(), table)) {
            Entry::Vacant(_) if tables >= MAX_TABLES => return false,
            entry => entry.or_default(),
        };
        if rows.known.len() >= MAX_ROWS || !rows.known.insert(id.to_owned()) {
            return false;
        }
        rows.unwritten.push(id.to_owned());
        true
    }

    /// Takes the rows that are not written yet. [`Self::put_back`] reverses this.
    pub fn take_unwritten(&self, today: Date) -> Vec<DataProblem> {
        let mut state = self.state();
        let taken = state
            .tables
            .iter_mut()
            .filter(|(_, rows)| !rows.unwritten.is_empty())
            .map(|((practicepass, table), rows)| DataProblem {
                practicepass: practicepass.clone(),
                table,
                ids: std::mem::take(&mut rows.unwritten),
            })
            .collect();
        if state.day.replace(today).is_some_and(|day| day != today) {
            state.tables.clear();
        }
        taken
    }

    /// Puts back rows that could not be written.
    pub fn put_back(&self, problem: DataProblem) {
        let mut state = self.state();
        let rows = state.tables.entry((problem.practicepass, problem.table)).or_default();
        rows.known.extend(problem.ids.iter().cloned());
        rows.unwritten.splice(..0, problem.ids);
        rows.unwritten.truncate(MAX_ROWS);
    }
}

/// Receives the unreadable rows of one database's connections.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    problems: Arc<DataProblems>,
    practicepass: Option<PracticePass>,
}

impl Reporter {
    pub(crate) fn of_practice(problems: &Arc<DataProblems>, practicepass: &PracticePass) -> Self {
        Self { problems: problems.clone(), practicepass: Some(practicepass.clone()) }
    }

    pub(crate) fn of_catalog(problems: &Arc<DataProblems>) -> Self {
        Self { problems: problems.clone(), practicepass: None }
    }

    pub(super) fn report(&self, table: &'static str, id: &str) {
        self.problems.report(self.practicepass.as_ref(), table, id);
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn ids(problems: &[DataProblem]) -> Vec<&str> {
        problems.iter().flat_map(|it| &it.ids).map(String::as_str).collect()
    }

    #[test]
    fn a_row_is_reported_once_a_day() {
        let (problems, today) = (DataProblems::default(), date(2026, 11, 29));
        problems.report(None, "products", "7");
        problems.report(None, "products", "7");
        problems.report(None, "products", "3");
        assert_eq!(ids(&problems.take_unwritten(today)), ["7", "3"]);
        let tomorrow = date(2026, 11, 30);
        for day in [today, tomorrow] {
            problems.report(None, "products", "7");
            assert!(problems.take_unwritten(day).is_empty() || day == today, "{day}");
        }
        problems.report(None, "products", "7");
        assert_eq!(ids(&problems.take_unwritten(tomorrow)), ["7"], "the next day");
    }

    #[test]
    fn a_report_that_failed_is_written_with_the_next_one() {
        let (problems, today) = (DataProblems::default(), date(2026, 11, 29));
        problems.report(None, "products", "7");
        let taken = problems.take_unwritten(today);
        problems.report(None, "products", "8");
        for problem in taken {
            problems.put_back(problem);
        }
        assert_eq!(ids(&problems.take_unwritten(today)), ["7", "8"]);
    }

    #[test]
    fn a_table_full_of_unreadable_rows_uses_bounded_memory() {
        let problems = DataProblems::default();
        for row in 0..10 * MAX_ROWS {
            problems.report(None, "products", &row.to_string());
        }
        assert_eq!(ids(&problems.take_unwritten(date(2026, 11, 29))).len(), MAX_ROWS);
    }
}
