//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use shared::domain::EventScope;

use crate::operate::Operation;

/// Runs the OfficePro Partner API on this machine, with demo data.
#[derive(Debug, Parser)]
#[command(name = "officepro-local", bin_name = "cargo run --", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
    /// Folder that keeps everything between runs [default: .local in the project]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// Options of the stack itself.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Port of portal and API on 127.0.0.1
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Forget everything that earlier runs kept
    #[arg(long)]
    pub fresh: bool,
    /// Build and run the functions as they are deployed: optimised
    #[arg(long, conflicts_with = "binaries")]
    pub release: bool,
    /// Run the functions' binaries in this folder instead of building them
    #[arg(long, global = true, value_name = "FOLDER")]
    pub binaries: Option<PathBuf>,
    /// Run all schedules every so many seconds instead of as the template says
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub every: Option<Duration>,
    /// Neither run schedules nor read queues: for a restore
    #[arg(long, conflicts_with = "every")]
    pub without_events: bool,
    /// Create the practices' databases and the catalog on a server instead of in files: a database
    /// and, where the user may do so, a role for each (postgres://…)
    #[arg(long, value_name = "URL")]
    pub practice_db: Option<String>,
    /// Most processes of one function
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub environments: u16,
    /// A variable of every function's environment, above what the template says (repeatable)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,
}

/// What else than running the stack.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes rows to a practice's log as the EMR does, also while the stack runs
    Emit {
        /// The practice, as it is named in paths
        practice: String,
        /// Patients, Encounters, Claims, Payments or Documents
        #[arg(value_parser = event_scope)]
        scope: EventScope,
        /// How many rows
        #[arg(long, default_value_t = 1)]
        count: usize,
    },
    /// Builds the functions and has the running stack use them without a pause: new invocations go to the new binaries, what runs
    /// in the old ones ends there. SIGHUP does the same with binaries that are built already
    Redeploy {
        /// The stack was started with --release
        #[arg(long)]
        release: bool,
    },
    /// What operators do; infra/runbook.md says when
    #[command(flatten)]
    Operate(Operation),
    /// Exercises a restore on a stack of its own: backups at two moments, loss, restore, reconciliation, and whether all holds
    RestoreDrill(Drill),
    /// Deletes the data folder; refuses while a stack runs in it
    Reset,
    /// Becomes a function's binary that ends when the stack does
    #[command(hide = true)]
    Guard { parent: u32, program: PathBuf },
}

/// Options of the drill.
#[derive(Debug, clap::Args)]
pub struct Drill {
    /// Write the report to this file (Markdown) and beside it as .json, instead of to standard output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Keep the drill's data in this folder, which must not exist, instead of in one that is removed
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Create the practices' databases on a server instead of in files (postgres://…)
    #[arg(long, value_name = "URL")]
    pub practice_db: Option<String>,
}

fn event_scope(text: &str) -> Result<EventScope, String> {
    let named = EventScope::ALL.iter().find(|scope| scope.as_str().eq_ignore_ascii_case(text));
    named.copied().ok_or_else(|| "give Patients, Encounters, Claims, Payments or Documents".to_owned())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "give NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("give a whole number of seconds from 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn schedules_can_be_sped_up_to_one_second() {
        let cli = Cli::try_parse_from(["local", "--every", "1", "--port", "0", "--data-dir", "x"]).unwrap();
        assert_eq!(cli.run.every, Some(Duration::from_secs(1)));
        assert!(Cli::try_parse_from(["local", "--every", "0"]).is_err());
        assert!(matches!(Cli::try_parse_from(["local", "reset"]).unwrap().command, Some(Command::Reset)));
    }

    #[test]
    fn events_are_named_as_their_scopes_in_any_case() {
        let parse = |scope| Cli::try_parse_from(["local", "emit", "DemoOffice", scope, "--count", "5"]);
        let Some(Command::Emit { scope, count: 5, .. }) = parse("claims").unwrap().command else { panic!() };
        assert_eq!(scope, EventScope::Claims);
        assert!(parse("Tickets").is_err());
    }
}
