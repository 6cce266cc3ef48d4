//! The command-line interface.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use officepro_operator::commands::Operation;
use shared::domain::EventScope;

/// Runs the OfficePro Partner API locally, with demo data.
#[derive(Debug, Parser)]
#[command(name = "officepro-local", bin_name = "cargo run --", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
    /// Folder for all data kept between runs [default: .local in the project]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// Options of the stack itself.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Port of the portal and the API on 127.0.0.1
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Delete all data of earlier runs first
    #[arg(long)]
    pub fresh: bool,
    /// Build and run the functions in release mode, as they are deployed
    #[arg(long, conflicts_with = "binaries")]
    pub release: bool,
    /// Run the function binaries in this folder instead of the functions in this program
    #[arg(long, global = true, value_name = "FOLDER")]
    pub binaries: Option<PathBuf>,
    /// Run all schedules at this interval instead of the template's
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub every: Option<Duration>,
    /// Do not run schedules or read queues; used during a restore
    #[arg(long, conflicts_with = "every")]
    pub without_events: bool,
    /// Create the practice databases and the catalog on this PostgreSQL server instead of in files:
    /// one database each and, if the user may create roles, one role each (postgres://…)
    #[arg(long, value_name = "URL")]
    pub practice_db: Option<String>,
    /// Maximum number of processes per function
    #[arg(long, default_value_t = 4, value_name = "COUNT",
        value_parser = clap::value_parser!(u16).range(1..=100))]
    pub environments: u16,
    /// Set an environment variable for every function, overriding the template (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,
}

/// Commands other than running the stack.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes rows to a practice's log as the EMR would; works while the stack runs
    Emit {
        /// The practice's name in API paths
        practice: String,
        /// Patients, Encounters, Claims, Payments or Documents
        #[arg(value_parser = event_scope)]
        scope: EventScope,
        /// Number of rows
        #[arg(long, default_value_t = 1)]
        count: usize,
    },
    /// Builds the functions and switches the running stack to them without downtime: new
    /// invocations use the new binaries, running ones finish in the old. SIGHUP does the same
    /// without building
    Redeploy {
        /// Build in release mode, for a stack started with --release
        #[arg(long)]
        release: bool,
    },
    /// Operator commands; infra/runbook.md says when to use each
    #[command(flatten)]
    Operate(Operation),
    /// Rehearses a restore on a separate stack: takes two backups, loses the data, restores,
    /// reconciles and verifies
    RestoreDrill(Drill),
    /// Deletes the data folder; fails while a stack is running in it
    Reset,
    /// Runs a function binary that exits when the stack does
    #[command(hide = true)]
    Guard { parent: u32, program: PathBuf },
}

/// Options of the restore drill.
#[derive(Debug, clap::Args)]
pub struct Drill {
    /// Write the report to this file (Markdown) and to a .json file beside it, not to standard
    /// output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep the drill's data in this folder, which must not exist yet, instead of deleting it
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Create the practice databases on this PostgreSQL server instead of in files (postgres://…)
    #[arg(long, value_name = "URL")]
    pub practice_db: Option<String>,
}

fn event_scope(text: &str) -> Result<EventScope, String> {
    let named = EventScope::ALL.iter().find(|scope| scope.as_str().eq_ignore_ascii_case(text));
    named.copied().ok_or_else(|| "must be Patients, Encounters, Claims, Payments or Documents".to_owned())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "must be NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be a whole number of seconds, at least 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn schedules_run_as_often_as_every_second() {
        let cli = Cli::try_parse_from(["local", "--every", "1", "--port", "0", "--data-dir", "x"]).unwrap();
        assert_eq!(cli.run.every, Some(Duration::from_secs(1)));
        assert!(Cli::try_parse_from(["local", "--every", "0"]).is_err());
        assert!(matches!(Cli::try_parse_from(["local", "reset"]).unwrap().command, Some(Command::Reset)));
    }

    #[test]
    fn event_names_match_scopes_in_any_case() {
        let parse = |scope| Cli::try_parse_from(["local", "emit", "DemoOffice", scope, "--count", "5"]);
        let Some(Command::Emit { scope, count: 5, .. }) = parse("claims").unwrap().command else { panic!() };
        assert_eq!(scope, EventScope::Claims);
        assert!(parse("Tickets").is_err());
    }
}
