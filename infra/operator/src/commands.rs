//! Operator commands: their command-line arguments and dispatch.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use shared::control::partners::PartnerStatus;

use crate::error::{Error, Result};
use crate::reconcile::report::Report;
use crate::reconcile::{Moments, Plan};
use crate::{FirstPartner, NewPractice, Operator, new_name, read_connection_string, read_stdin};

/// Operator commands; `infra/runbook.md` says when to use each.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Migrates the catalog and all practice databases to the newest schema. Run it again to retry
    /// the databases that failed
    Migrate {
        /// Include databases already at the newest version
        #[arg(long)]
        all: bool,
        /// Succeed although up to N practices failed; they are still listed. The catalog must
        /// succeed
        #[arg(long, value_name = "N", default_value_t = 0)]
        tolerate: usize,
    },
    /// Adds a practice: its secret, registry entry and schema. Run it again to finish an
    /// interrupted attempt
    AddPractice {
        /// The practice's name in API paths
        practice: String,
        /// Display name
        #[arg(long, value_parser = text)]
        name: String,
        /// IANA time zone, e.g. `America/New_York`
        #[arg(long)]
        time_zone: String,
        /// Make it a sandbox, whose API keys begin with `op_test_`
        #[arg(long)]
        sandbox: bool,
        #[command(flatten)]
        dsn: Dsn,
    },
    /// Tests a connection string from where the functions run, within seconds; changes nothing
    CheckDsn {
        /// The practice whose database to open, or `catalog`
        database: String,
        /// Without one, the current connection string is tested
        #[command(flatten)]
        dsn: Dsn,
    },
    /// Removes a practice that has no live API keys, its subscriptions and its poller state. Its
    /// database is kept
    RemovePractice { practice: String },
    /// Shows what attaching a practice to the tables of its EMR needs and creates; --apply attaches
    /// it, continuing an interrupted run
    AttachPractice {
        practice: String,
        /// The bridge for this EMR: the name of a folder in `infra/bridges`
        #[arg(long)]
        bridge: String,
        #[arg(long)]
        apply: bool,
    },
    /// Compares an attached practice with its EMR; fails if it finds anything
    CheckPractice {
        practice: String,
        /// First renew the bridge and correct our rows that differ
        #[arg(long)]
        repair: bool,
        /// Also write in both directions, and roll back
        #[arg(long)]
        trial: bool,
    },
    /// Removes the bridge between a practice and the tables of its EMR, which are then as before
    DetachPractice { practice: String },
    /// Corrects a practice's time zone. Visits keep their local times; visits that now overlap are
    /// listed
    SetTimeZone {
        practice: String,
        /// IANA time zone, e.g. `America/New_York`
        time_zone: String,
    },
    /// Creates a partner and its first API key, and shows the key once
    FirstPartner {
        #[arg(long, value_parser = text)]
        company: String,
        #[arg(long, value_parser = text)]
        contact: String,
        #[arg(long, value_parser = text)]
        email: String,
        /// The practice that the key gives access to
        #[arg(long)]
        practice: String,
        #[arg(long, value_parser = text)]
        key_name: String,
        /// Scopes as named in the API, separated by commas
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
    },
    /// Suspends a partner: its keys, tokens, portal sessions, webhooks and open claim links stop
    /// working within a minute
    SuspendPartner {
        /// The partner's id
        partner: String,
    },
    /// Reactivates a suspended partner: its keys, tokens and webhooks work again; ended sessions
    /// and claim links do not
    ReinstatePartner {
        /// The partner's id
        partner: String,
    },
    /// Revokes an API key permanently
    RevokeKey {
        /// The key's id: the 12 characters after `op_live_` or `op_test_`
        key: String,
    },
    /// Starts signing tokens with a new key; tokens already issued stay valid
    RotateTokenKey {
        /// Remove old keys whose last tokens have expired
        #[arg(long)]
        finish: bool,
        /// Remove this leaked key immediately; tokens signed with it become invalid
        #[arg(long, value_name = "KID", conflicts_with = "finish")]
        revoke: Option<String>,
    },
    /// Shows a new admin secret once and makes it current; the previous one stays valid
    RotateAdminSecret {
        /// Invalidate the previous secret. Give the new one on standard input to prove that you
        /// have it
        #[arg(long, requires = "stdin")]
        finish: bool,
        /// Make the previous secret current again, and invalidate the new one
        #[arg(long, conflicts_with_all = ["finish", "stdin"])]
        abort: bool,
        /// Read the new secret from standard input instead of generating one
        #[arg(long)]
        stdin: bool,
    },
    /// Generates a new secret that the portal's distribution sends to the API; the previous one
    /// stays valid
    RotateEdgeSecret {
        /// Invalidate the previous secret, once the distribution sends the new one
        #[arg(long)]
        finish: bool,
    },
    /// Replaces the connection string of a practice's database, if the new one works
    SetPracticeDsn {
        practice: String,
        /// Allow an empty database although the current one has data or can't be read
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        dsn: Dsn,
    },
    /// Replaces the connection string of the catalog, if the new one opens a database that belongs
    /// to no practice
    SetCatalogDsn {
        /// Allow an empty database although the current one has data or can't be read
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        dsn: Dsn,
    },
    /// Redrives the dead-letter queue: sends its events again, once their cause is fixed
    Redrive,
    /// Replays the events of a time range to partners, each as a new delivery with the full retry
    /// schedule
    Replay {
        /// The practice's name in API paths
        practice: String,
        /// The subscription's id; without it, all active subscriptions of the practice
        #[arg(long)]
        subscription: Option<i64>,
        /// Deliveries created at or after this time (RFC 3339)
        #[arg(long)]
        from: Timestamp,
        /// … and before this time
        #[arg(long)]
        to: Timestamp,
        /// Include deliveries that succeeded
        #[arg(long)]
        all: bool,
        /// Resume an interrupted replay, by the name that it printed
        #[arg(long, value_parser = text)]
        name: Option<String>,
    },
    /// After a restore: compares practice databases with the control plane and reports differences.
    /// With --apply, repairs what can be repaired
    Reconcile {
        /// The practice's name in API paths; required unless --all is given
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        practice: Option<String>,
        /// All practices
        #[arg(long)]
        all: bool,
        /// The time the database was restored to (RFC 3339); omit it if it was not restored
        #[arg(long, value_name = "TIME")]
        database_at: Option<Timestamp>,
        /// The time the control plane was restored to (RFC 3339); omit it if it was not restored
        #[arg(long, value_name = "TIME")]
        control_at: Option<Timestamp>,
        /// Repair what can be repaired; without it nothing is changed
        #[arg(long)]
        apply: bool,
        /// Write the report to this file (Markdown) and to a .json file beside it, not to standard
        /// output
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Copies a control table that was restored under another name back into the stack's own table.
    /// Access that was revoked since stays revoked
    RestoreControl {
        /// The restored table's name
        #[arg(long, value_name = "TABLE")]
        from: String,
        /// The time it was restored to (RFC 3339); a table in AWS records it itself
        #[arg(long, value_name = "TIME")]
        control_at: Option<Timestamp>,
        /// Also overwrite items that differ, except those changed since that time
        #[arg(long)]
        overwrite: bool,
        /// Write the items; without it they are only counted
        #[arg(long)]
        apply: bool,
        /// Write the report to this file (Markdown) and to a .json file beside it, not to standard
        /// output
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Exports the call records to standard output (CSV, newest first)
    ExportActivity {
        /// Calls at or after this time (RFC 3339)
        #[arg(long)]
        from: Timestamp,
        /// … and before this time
        #[arg(long)]
        to: Timestamp,
        /// Only calls to this practice
        #[arg(long)]
        practice: Option<String>,
    },
}

/// Where to read a connection string from; never an argument, which other users could read.
#[derive(Debug, Args)]
pub struct Dsn {
    /// Read the connection string from standard input
    #[arg(long = "dsn-stdin")]
    stdin: bool,
    /// Read the connection string from this file
    #[arg(long = "dsn-file", value_name = "FILE", conflicts_with = "stdin")]
    file: Option<PathBuf>,
    /// CA certificate (PEM) of the server, unless it is publicly trusted or Amazon's
    #[arg(long, value_name = "FILE")]
    root_certificate: Option<PathBuf>,
}

impl Dsn {
    fn read(&self) -> Result<Option<String>> {
        if self.stdin || self.file.is_some() {
            let certificate = self.root_certificate.as_deref();
            return read_connection_string(self.file.as_deref(), certificate).map(Some);
        }
        if self.root_certificate.is_some() {
            return Err(Error::Refused(
                "--root-certificate requires a connection string: add --dsn-stdin or --dsn-file FILE"
                    .to_owned(),
            ));
        }
        Ok(None)
    }

    fn required(&self) -> Result<String> {
        let missing =
            || Error::Refused("a connection string is required: --dsn-stdin or --dsn-file FILE".to_owned());
        self.read()?.ok_or_else(missing)
    }
}

impl Operation {
    /// Runs the command, once its input is read, on the stack that `connect` connects to.
    #[allow(clippy::too_many_lines, reason = "a line or two for each command")]
    pub async fn perform(self, connect: impl Fn() -> Result<Operator>) -> Result<()> {
        match self {
            Self::Migrate { all, tolerate } => connect()?.migrate(all, tolerate).await,
            Self::AddPractice { practice, name, time_zone, sandbox, dsn } => {
                let dsn = dsn.read()?;
                let new = NewPractice { practicepass: practice, name, time_zone, sandbox, dsn };
                connect()?.add_practice(new).await
            }
            Self::CheckDsn { database, dsn } => {
                let dsn = dsn.read()?;
                connect()?.check_dsn(&database, dsn.as_deref()).await
            }
            Self::RemovePractice { practice } => connect()?.remove_practice(&practice).await,
            Self::AttachPractice { practice, bridge, apply } => {
                connect()?.attach_practice(&practice, &bridge, apply).await
            }
            Self::CheckPractice { practice, repair, trial } => {
                connect()?.check_practice(&practice, repair, trial).await
            }
            Self::DetachPractice { practice } => connect()?.detach_practice(&practice).await,
            Self::SetTimeZone { practice, time_zone } => {
                connect()?.set_time_zone(&practice, &time_zone).await
            }
            Self::FirstPartner { company, contact, email, practice, key_name, scopes } => {
                let new = FirstPartner { company, contact, email, practice, key_name, scopes };
                connect()?.first_partner(new).await
            }
            Self::SuspendPartner { partner } => {
                let done = connect()?.set_partner_status(&partner, PartnerStatus::Suspended).await?;
                println!("{} ({partner}) is suspended. All its access ends within 60 s.", done.company);
                Ok(())
            }
            Self::ReinstatePartner { partner } => {
                let done = connect()?.set_partner_status(&partner, PartnerStatus::Active).await?;
                println!("{} ({partner}) is active.", done.company);
                Ok(())
            }
            Self::RevokeKey { key } => {
                let done = connect()?.revoke_key(&key).await?;
                println!(
                    "Key {key} of {} for {} is revoked. Its tokens and sessions end within 60 s.",
                    done.partner, done.practicepass
                );
                Ok(())
            }
            Self::RotateTokenKey { finish: true, .. } => connect()?.finish_token_keys().await,
            Self::RotateTokenKey { revoke: Some(kid), .. } => connect()?.revoke_token_key(&kid).await,
            Self::RotateTokenKey { .. } => connect()?.rotate_token_key().await,
            Self::RotateAdminSecret { finish: true, .. } => connect()?.end_admin_secret(&read_stdin()?).await,
            Self::RotateAdminSecret { abort: true, .. } => connect()?.take_back_admin_secret().await,
            Self::RotateAdminSecret { stdin, .. } => {
                let given = if stdin { Some(read_stdin()?) } else { None };
                connect()?.rotate_admin_secret(given).await
            }
            Self::RotateEdgeSecret { finish: true } => connect()?.end_edge_secret().await,
            Self::RotateEdgeSecret { .. } => connect()?.rotate_edge_secret().await,
            Self::SetPracticeDsn { practice, new, dsn } => {
                connect()?.set_practice_dsn(&practice, &dsn.required()?, new).await
            }
            Self::SetCatalogDsn { new, dsn } => connect()?.set_catalog_dsn(&dsn.required()?, new).await,
            Self::Redrive => {
                let moved = connect()?.redrive().await?;
                println!("{moved} dead letters were moved back to the queue.");
                Ok(())
            }
            Self::Replay { practice, subscription, from, to, all, name } => {
                in_order(from, to)?;
                let operator = connect()?;
                operator.registered(&practice).await?;
                let name = match name {
                    Some(name) => name,
                    None => new_name()?,
                };
                println!("Replay {name} of {practice} …");
                let sent = operator.replay(&practice, subscription, (from, to), all, &name).await?;
                println!("{sent} events were queued.");
                Ok(())
            }
            Self::Reconcile { practice, all: _, database_at, control_at, apply, report } => {
                report.as_deref().map(Report::require_new).transpose()?;
                let moments = Moments { database: database_at, control: control_at };
                let plan = Plan::new(moments, apply, Timestamp::now())?;
                let done = connect()?.reconcile(practice.as_deref(), plan).await?;
                show(&done, report.as_deref())
            }
            Self::RestoreControl { from, control_at, overwrite, apply, report } => {
                report.as_deref().map(Report::require_new).transpose()?;
                let done = connect()?.restore_control(&from, control_at, (overwrite, apply)).await?;
                show(&done, report.as_deref())
            }
            Self::ExportActivity { from, to, practice } => {
                in_order(from, to)?;
                let operator = connect()?;
                if let Some(practice) = &practice {
                    operator.registered(practice).await?;
                }
                let rows = operator.export_activity((from, to), practice.as_deref()).await?;
                eprintln!("Exported {rows} calls.");
                Ok(())
            }
        }
    }
}

/// Prints a report or writes it to a file.
///
/// # Errors
/// If a guarantee is broken, or the file can't be written.
pub fn show(report: &Report, file: Option<&Path>) -> Result<()> {
    match file {
        Some(file) => {
            for written in report.write(file)? {
                println!("{}", written.display());
            }
        }
        None => println!("{}", report.markdown()),
    }
    eprintln!("{}", report.result());
    let failures: Vec<String> = report.failures().map(|it| format!("\n  {}: {}", it.id, it.found)).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let hint = if report.applied { "" } else { "; run again with --apply to repair the open checks" };
    Err(Error::Refused(format!("guarantees are broken{hint}:{}", failures.join(""))))
}

/// Parses a non-empty text.
fn text(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn in_order(from: Timestamp, to: Timestamp) -> Result<()> {
    if from < to {
        return Ok(());
    }
    Err(Error::Refused(format!("--to ({to}) must be later than --from ({from})")))
}
