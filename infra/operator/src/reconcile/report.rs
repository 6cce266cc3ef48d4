//! The report of a reconciliation or a restore drill: Markdown for auditors, JSON for programs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use shared::domain::zones;

use super::Plan;
use crate::error::{Error, Result};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The guarantee holds.
    Good,
    /// The guarantee did not hold; it was repaired and checked again.
    Repaired,
    /// The guarantee does not hold; `--apply` repairs it.
    Open,
    /// No program can repair it: people must be informed, or must decide.
    Manual,
}

impl Verdict {
    fn in_words(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Repaired => "repaired",
            Self::Open => "OPEN",
            Self::Manual => "MANUAL",
        }
    }
}

/// The check of one guarantee.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Part and guarantee, e.g. `control/keys`; unique in the report.
    pub id: String,
    pub guarantee: String,
    pub expected: String,
    pub found: String,
    pub verdict: Verdict,
    /// Whether safety depends on it.
    pub critical: bool,
    /// The individual findings.
    pub rows: Vec<String>,
    pub changed: Vec<String>,
}

impl Check {
    /// Returns a check whose guarantee holds.
    pub fn new(
        id: impl Into<String>,
        guarantee: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            guarantee: guarantee.into(),
            expected: expected.into(),
            found: found.into(),
            verdict: Verdict::Good,
            critical: false,
            rows: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Sets the verdict, and whether a failure is critical.
    #[must_use]
    pub fn with(self, verdict: Verdict, critical: bool) -> Self {
        Self { verdict, critical, ..self }
    }

    /// Sets the verdict: good without rows, otherwise `verdict`.
    #[must_use]
    pub(super) fn of_rows(self, verdict: Verdict, critical: bool, rows: Vec<String>) -> Self {
        let verdict = if rows.is_empty() { Verdict::Good } else { verdict };
        Self { verdict, critical, rows, ..self }
    }
}

/// A step of the procedure, named as in the runbook.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub name: String,
    pub at: Timestamp,
    pub seconds: f64,
    pub notes: Vec<String>,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub title: String,
    pub operator: String,
    /// Stack, region, account and control table; or "this machine" with its control table.
    pub place: String,
    pub version: String,
    pub revision: String,
    pub tzdata: String,
    pub began_at: Timestamp,
    pub ended_at: Timestamp,
    pub applied: bool,
    pub database_restored_to: Option<Timestamp>,
    pub control_restored_to: Option<Timestamp>,
    pub practices: Vec<String>,
    /// Other facts about what was done.
    pub facts: Vec<(String, String)>,
    /// Measurements by name, such as recovery point and recovery time.
    pub measured: Vec<(String, String)>,
    pub steps: Vec<Step>,
    pub checks: Vec<Check>,
    /// What this report can't detect.
    pub limits: Vec<String>,
}

const LIMITS: [&str; 6] = [
    "Changes that the EMR's own programs made after the restored moment are unknown: they leave no trace \
        outside the database.",
    "A call completed in the last seconds before a loss may lack its record, and is then not listed.",
    "What was ended in the control plane is known from the copies of audit records in the activity table. If \
        both tables were restored to the same moment, this report cannot know it: compare with an export of \
        the audit log.",
    "The audit log records which settings of a key were changed, but not their values: ask the person who \
        set them.",
    "Deliveries are kept for 30 days: which events were sent before that is unknown.",
    "Secrets created after the restored moment (keys, webhook secrets) can't be restored: they were stored \
        nowhere else.",
];

impl Report {
    /// Returns an empty report.
    pub fn new(plan: Plan) -> Self {
        Self {
            title: "Reconciliation after a restore".to_owned(),
            operator: operator(),
            place: "this machine".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: option_env!("OFFICEPRO_REVISION").unwrap_or("unknown").to_owned(),
            tzdata: zones::version().to_owned(),
            began_at: plan.now,
            ended_at: plan.now,
            applied: plan.apply,
            database_restored_to: plan.moments.database,
            control_restored_to: plan.moments.control,
            practices: Vec::new(),
            facts: Vec::new(),
            measured: Vec::new(),
            steps: Vec::new(),
            checks: Vec::new(),
            limits: LIMITS.map(str::to_owned).into(),
        }
    }

    pub(super) fn end(&mut self, now: Timestamp) {
        self.ended_at = self.began_at.max(now);
        let lost = |at: Timestamp| format!("{} s", self.began_at.duration_since(at).as_secs());
        let moments = [
            ("Since the database's restored moment", self.database_restored_to),
            ("Since the control plane's restored moment", self.control_restored_to),
        ];
        self.measured =
            moments.into_iter().filter_map(|(name, at)| Some((name.to_owned(), lost(at?)))).collect();
    }

    /// Returns the broken guarantees: the open checks, and the critical manual ones.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|it| it.verdict == Verdict::Open || (it.critical && it.verdict == Verdict::Manual))
    }

    /// Rejects an existing file, which may be the evidence of an earlier restore.
    ///
    /// # Errors
    /// If it or its `.json` file exists, or the folder doesn't.
    pub fn require_new(file: &Path) -> Result<()> {
        if let Some(folder) = file.parent().filter(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
            return Err(Error::Refused(format!("there is no folder {}", folder.display())));
        }
        match [file.to_owned(), file.with_extension("json")].into_iter().find(|it| it.exists()) {
            Some(there) => Err(Error::Refused(format!("{} exists; choose another file", there.display()))),
            None => Ok(()),
        }
    }

    /// Writes `file` (Markdown) and a `.json` file beside it, readable by their owner only.
    ///
    /// Returns both paths.
    pub fn write(&self, file: &Path) -> Result<[PathBuf; 2]> {
        let json = file.with_extension("json");
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::store("report", error))?;
        crate::private_file::write(file, self.markdown().as_bytes())?;
        crate::private_file::write(&json, text.as_bytes())?;
        Ok([file.to_owned(), json])
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        let moment = |at: Option<Timestamp>| at.map_or("not restored".to_owned(), |at| at.to_string());
        for (name, value) in [
            ("Result", self.result()),
            ("Who", self.operator.clone()),
            ("Where", self.place.clone()),
            ("Began", self.began_at.to_string()),
            ("Ended", self.ended_at.to_string()),
            ("Program", format!("{} ({}), time-zone rules {}", self.version, self.revision, self.tzdata)),
            ("Practices", self.practices.join(", ")),
        ] {
            let _ = writeln!(text, "- {name}: {value}");
        }
        // The rounds of a drill have their own moments, which its steps name.
        if self.database_restored_to.is_some() || self.control_restored_to.is_some() {
            let mode = if self.applied { "applied" } else { "dry run, nothing was changed" };
            for (name, value) in [
                ("Practice's database restored to", moment(self.database_restored_to)),
                ("Control plane restored to", moment(self.control_restored_to)),
                ("Mode", mode.to_owned()),
            ] {
                let _ = writeln!(text, "- {name}: {value}");
            }
        }
        for (name, value) in self.facts.iter().chain(&self.measured) {
            let _ = writeln!(text, "- {name}: {value}");
        }
        if !self.steps.is_empty() {
            text.push_str("\n## Steps\n\n| Step | Began | Seconds |\n| --- | --- | --- |\n");
            for Step { name, at, seconds, .. } in &self.steps {
                let _ = writeln!(text, "| {name} | {at:.0} | {seconds:.1} |");
            }
            for Step { name, notes, .. } in self.steps.iter().filter(|it| !it.notes.is_empty()) {
                let _ = writeln!(text, "\n{name}:\n");
                for line in notes {
                    let _ = writeln!(text, "- {}", plain(line));
                }
            }
        }
        text.push_str(
            "\n## Checks\n\n| Check | Guarantee | Expected | Found | Verdict |\n| --- | --- | --- \
            | --- | --- |\n",
        );
        for it in &self.checks {
            let mark = if it.critical && it.verdict != Verdict::Good { " (critical)" } else { "" };
            let cells = [&it.id, &it.guarantee, &it.expected, &it.found].map(|cell| plain(cell));
            let _ = writeln!(text, "| {} | {}{mark} |", cells.join(" | "), it.verdict.in_words());
        }
        for it in self.checks.iter().filter(|it| !it.rows.is_empty() || !it.changed.is_empty()) {
            let _ = writeln!(text, "\n### {}: {}\n", it.id, it.verdict.in_words());
            for row in &it.rows {
                let _ = writeln!(text, "- {}", plain(row));
            }
            if !it.changed.is_empty() {
                text.push_str("\nChanged:\n\n");
                for row in &it.changed {
                    let _ = writeln!(text, "- {}", plain(row));
                }
            }
        }
        text.push_str("\n## Limits of this report\n\n");
        for it in &self.limits {
            let _ = writeln!(text, "- {it}");
        }
        let _ = writeln!(text, "\n## Result\n\n{}", self.result());
        text.push_str(
            "\n## Sign-off\n\n| | Name | Date | Signature |\n| --- | --- | --- | --- |\n| Operator | | | \
                |\n| Practice | | | |\n| Security officer | | | |\n",
        );
        text
    }

    /// Returns a one-line summary.
    pub fn result(&self) -> String {
        let count = |verdict| self.checks.iter().filter(|it| it.verdict == verdict).count();
        format!(
            "{} checks: {} good, {} repaired, {} open, {} manual. {}",
            self.checks.len(),
            count(Verdict::Good),
            count(Verdict::Repaired),
            count(Verdict::Open),
            count(Verdict::Manual),
            if self.failures().next().is_none() {
                "No guarantee is broken."
            } else {
                "Guarantees are broken."
            }
        )
    }
}

/// Identifies the operator: the caller's ARN that infra/operate got from AWS, and the local user.
fn operator() -> String {
    let variable = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()));
    let person = format!("{}@{}", user, or_unknown(host.trim()));
    variable("OPERATOR_ARN").map_or(person.clone(), |arn| format!("{arn} ({person})"))
}

/// Describes the stack, as infra/operate sets it.
pub(super) fn place(control_table: &str) -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (arn, stack, region) = (variable("OPERATOR_ARN"), variable("STACK_NAME"), variable("AWS_REGION"));
    let account = arn.split(':').nth(4).unwrap_or_default();
    if stack.is_empty() {
        return format!("this machine, control table {control_table}");
    }
    format!("stack {stack} in {region}, account {}, control table {control_table}", or_unknown(account))
}

/// Escapes text that may come from outsiders, so that Markdown shows it literally.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '#' | '!' => shown.extend(['\\', character]),
            '\u{2028}' | '\u{2029}' => shown.push(' '),
            _ if character.is_control() => shown.push(' '),
            _ => shown.push(character),
        }
    }
    shown
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}
