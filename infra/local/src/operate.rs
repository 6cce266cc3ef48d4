//! Operators' commands, as they are typed.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use shared::control::partners::PartnerStatus;

use crate::error::{Error, Result};
use crate::operations::reconcile::report::Report;
use crate::operations::reconcile::{Moments, Plan};
use crate::operations::{FirstPartner, NewPractice, Operator, new_name, read_connection_string, read_stdin};
use crate::practices;

/// What operators do; `infra/runbook.md` says when.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Brings the catalog and all practices' databases to the newest schema; run again, it goes on with those that failed
    Migrate {
        /// Also those that are known to be at the newest version
        #[arg(long)]
        all: bool,
        /// So many practices may fail, which are listed all the same; the catalog may not
        #[arg(long, value_name = "N", default_value_t = 0)]
        tolerate: usize,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Adds a practice: secret, registry entry, schema; run again, it finishes what was broken off
    AddPractice {
        /// Its name in paths
        practice: String,
        /// What people call it
        #[arg(long, value_parser = text)]
        name: String,
        /// IANA name, e.g. `America/New_York`
        #[arg(long)]
        time_zone: String,
        /// Its keys begin with `op_test_`
        #[arg(long)]
        sandbox: bool,
        #[command(flatten)]
        dsn: Dsn,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Tries a connection string where functions would use it, within seconds; changes nothing
    CheckDsn {
        /// The practice whose database it is to open, or `catalog`
        database: String,
        /// Without one, the string of now is tried
        #[command(flatten)]
        dsn: Dsn,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Removes a practice that no key opens any more: its subscriptions and the poller's state; its database stays as it is
    RemovePractice {
        practice: String,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Shows what attaching a practice to the tables of its EMR needs and creates; --apply attaches it, continuing an interrupted run
    AttachPractice {
        practice: String,
        /// The bridge for this EMR: a folder of `infra/bridges`
        #[arg(long)]
        bridge: String,
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        world: OfWorld,
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
        #[command(flatten)]
        world: OfWorld,
    },
    /// Removes the bridge between a practice and the tables of its EMR, which are then as before
    DetachPractice {
        practice: String,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Corrects a practice's time zone: visits keep their local times, and those that collide now are listed
    SetTimeZone {
        practice: String,
        /// IANA name, e.g. `America/New_York`
        time_zone: String,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Makes a partner and its first key, and shows the key once
    FirstPartner {
        #[arg(long, value_parser = text)]
        company: String,
        #[arg(long, value_parser = text)]
        contact: String,
        #[arg(long, value_parser = text)]
        email: String,
        /// The practice that the key opens
        #[arg(long)]
        practice: String,
        #[arg(long, value_parser = text)]
        key_name: String,
        /// Separated by commas, as in the API
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Suspends a partner: its keys, tokens, portal sessions, webhooks and open claim links end within a minute
    SuspendPartner {
        /// The partner's id
        partner: String,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Reinstates a suspended partner: its keys, tokens and webhooks work again; sessions and claim links stay ended
    ReinstatePartner {
        /// The partner's id
        partner: String,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Revokes an API key for good
    RevokeKey {
        /// The key's id: the 12 characters after `op_live_` or `op_test_`
        key: String,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Lets a new key sign tokens; no token that is out ends
    RotateTokenKey {
        /// Remove old keys whose last tokens have ended
        #[arg(long)]
        finish: bool,
        /// Remove this key at once, for it leaked; tokens that it signed end
        #[arg(long, value_name = "KID", conflicts_with = "finish")]
        revoke: Option<String>,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Shows a new admin secret once and makes it current; the one before stays good
    RotateAdminSecret {
        /// End the one before; the new one on standard input proves that it is known
        #[arg(long, requires = "stdin")]
        finish: bool,
        /// Make the one before current again, and end the new one
        #[arg(long, conflicts_with_all = ["finish", "stdin"])]
        abort: bool,
        /// Take the new secret from standard input instead of making one
        #[arg(long)]
        stdin: bool,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Makes another secret for the portal's distribution to show to the API; the one before stays good
    RotateEdgeSecret {
        /// End the one before, once the distribution shows the new one
        #[arg(long)]
        finish: bool,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Replaces the connection string of a practice's database, if the new one opens it
    SetPracticeDsn {
        practice: String,
        /// It may be an empty database although the one before isn't, or can't be read any more
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        dsn: Dsn,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Replaces the connection string of the catalog, if the new one opens a database that is no practice's
    SetCatalogDsn {
        /// It may be an empty database although the one before isn't, or can't be read any more
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        dsn: Dsn,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Sends the events that were given up (the dead-letter queue's) once more, after their fault was mended
    Redrive {
        #[command(flatten)]
        world: OfWorld,
    },
    /// Sends partners the events of a time once more, each as a delivery of its own with the whole schedule
    Replay {
        /// The practice, as it is named in paths
        practice: String,
        /// The subscription's id; without one, all active ones of the practice
        #[arg(long)]
        subscription: Option<i64>,
        /// Deliveries that began at this instant or later (RFC 3339)
        #[arg(long)]
        from: Timestamp,
        /// … and before this one
        #[arg(long)]
        to: Timestamp,
        /// Also those that succeeded
        #[arg(long)]
        all: bool,
        /// Finishes a replay that was cut off, by the name that it printed
        #[arg(long, value_parser = text)]
        name: Option<String>,
        #[command(flatten)]
        world: OfWorld,
    },
    /// After a restore: compares practices' databases with the control plane and reports; with --apply it mends what can be mended
    Reconcile {
        /// The practice, as it is named in paths; needed unless --all is given
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        practice: Option<String>,
        /// All practices
        #[arg(long)]
        all: bool,
        /// The moment that the database was restored to (RFC 3339); leave it out if it was not restored
        #[arg(long, value_name = "TIME")]
        database_at: Option<Timestamp>,
        /// The moment that the control plane was restored to (RFC 3339); leave it out if it was not restored
        #[arg(long, value_name = "TIME")]
        control_at: Option<Timestamp>,
        /// Mend what can be mended; without it nothing is changed
        #[arg(long)]
        apply: bool,
        /// Write the report to this file (Markdown) and beside it as .json, instead of to standard output
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Copies a control table that was restored under another name back into the stack's own; what was ended since stays ended
    RestoreControl {
        /// The restored table's name
        #[arg(long, value_name = "TABLE")]
        from: String,
        /// The moment that it was restored to (RFC 3339); the table in AWS says it itself
        #[arg(long, value_name = "TIME")]
        control_at: Option<Timestamp>,
        /// Also write over items that differ, but nothing that anybody changed since
        #[arg(long)]
        overwrite: bool,
        /// Write; without it items are only counted
        #[arg(long)]
        apply: bool,
        /// Write the report to this file (Markdown) and beside it as .json, instead of to standard output
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        #[command(flatten)]
        world: OfWorld,
    },
    /// Writes the record of calls to standard output (CSV, the newest first)
    ExportActivity {
        /// Calls at this instant or later (RFC 3339)
        #[arg(long)]
        from: Timestamp,
        /// … and before this one
        #[arg(long)]
        to: Timestamp,
        /// Of one practice only
        #[arg(long)]
        practice: Option<String>,
        #[command(flatten)]
        world: OfWorld,
    },
}

/// Where it is done.
#[derive(Debug, Args)]
pub struct OfWorld {
    /// In AWS instead of the stack that runs here; infra/operate STACK sets what it needs
    #[arg(long)]
    pub aws: bool,
}

/// A connection string, which never is an argument: other users of the machine could read it.
#[derive(Debug, Args)]
pub struct Dsn {
    /// Take the connection string from standard input
    #[arg(long = "dsn-stdin")]
    stdin: bool,
    /// Take the connection string from this file
    #[arg(long = "dsn-file", value_name = "FILE", conflicts_with = "stdin")]
    file: Option<PathBuf>,
    /// The certificate (PEM) of who signs the server's, unless everybody trusts it or the server is Amazon's
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
                "a certificate belongs to a connection string: give --dsn-stdin or --dsn-file FILE"
                    .to_owned(),
            ));
        }
        Ok(None)
    }

    fn required(&self) -> Result<String> {
        let missing = || Error::Refused("give --dsn-stdin or --dsn-file FILE".to_owned());
        self.read()?.ok_or_else(missing)
    }
}

impl Operation {
    /// Does it; `template` and `data_dir` are those of the local stack.
    #[allow(clippy::too_many_lines, reason = "a line or two for each command")]
    pub async fn perform(self, template: &Path, data_dir: &Path) -> Result<()> {
        let on = |world: &OfWorld| Operator::of(world.aws, data_dir);
        match self {
            Self::Migrate { tolerate, world, .. } if !world.aws && !Operator::is_running(data_dir) => {
                practices::migrate_all(template, data_dir, tolerate).await
            }
            Self::Migrate { all, tolerate, world } => on(&world)?.migrate(all, tolerate).await,
            Self::AddPractice { practice, name, time_zone, sandbox, dsn, world } => {
                let dsn = dsn.read()?;
                let new = NewPractice { practicepass: practice, name, time_zone, sandbox, dsn };
                on(&world)?.add_practice(new).await
            }
            Self::CheckDsn { database, dsn, world } => {
                let dsn = dsn.read()?;
                on(&world)?.check_dsn(&database, dsn.as_deref()).await
            }
            Self::RemovePractice { practice, world } => on(&world)?.remove_practice(&practice).await,
            Self::AttachPractice { practice, bridge, apply, world } => {
                on(&world)?.attach_practice(&practice, &bridge, apply).await
            }
            Self::CheckPractice { practice, repair, trial, world } => {
                on(&world)?.check_practice(&practice, repair, trial).await
            }
            Self::DetachPractice { practice, world } => on(&world)?.detach_practice(&practice).await,
            Self::SetTimeZone { practice, time_zone, world } => {
                on(&world)?.set_time_zone(&practice, &time_zone).await
            }
            Self::FirstPartner { company, contact, email, practice, key_name, scopes, world } => {
                let new = FirstPartner { company, contact, email, practice, key_name, scopes };
                on(&world)?.first_partner(new).await
            }
            Self::SuspendPartner { partner, world } => {
                let done = on(&world)?.set_partner_status(&partner, PartnerStatus::Suspended).await?;
                println!("{} ({partner}) is suspended. Everything of it ends within 60 s.", done.company);
                Ok(())
            }
            Self::ReinstatePartner { partner, world } => {
                let done = on(&world)?.set_partner_status(&partner, PartnerStatus::Active).await?;
                println!("{} ({partner}) is active.", done.company);
                Ok(())
            }
            Self::RevokeKey { key, world } => {
                let done = on(&world)?.revoke_key(&key).await?;
                println!(
                    "The key {key} of {} for {} is revoked. Its tokens and sessions end within 60 s.",
                    done.partner, done.practicepass
                );
                Ok(())
            }
            Self::RotateTokenKey { finish: true, world, .. } => on(&world)?.finish_token_keys().await,
            Self::RotateTokenKey { revoke: Some(kid), world, .. } => on(&world)?.revoke_token_key(&kid).await,
            Self::RotateTokenKey { world, .. } => on(&world)?.rotate_token_key().await,
            Self::RotateAdminSecret { finish: true, world, .. } => {
                on(&world)?.end_admin_secret(&read_stdin()?).await
            }
            Self::RotateAdminSecret { abort: true, world, .. } => on(&world)?.take_back_admin_secret().await,
            Self::RotateAdminSecret { stdin, world, .. } => {
                let given = if stdin { Some(read_stdin()?) } else { None };
                on(&world)?.rotate_admin_secret(given).await
            }
            Self::RotateEdgeSecret { finish: true, world } => on(&world)?.end_edge_secret().await,
            Self::RotateEdgeSecret { world, .. } => on(&world)?.rotate_edge_secret().await,
            Self::SetPracticeDsn { practice, new, dsn, world } => {
                on(&world)?.set_practice_dsn(&practice, &dsn.required()?, new).await
            }
            Self::SetCatalogDsn { new, dsn, world } => {
                on(&world)?.set_catalog_dsn(&dsn.required()?, new).await
            }
            Self::Redrive { world } => {
                let moved = on(&world)?.redrive().await?;
                println!("{moved} dead letters are back in the queue.");
                Ok(())
            }
            Self::Replay { practice, subscription, from, to, all, name, world } => {
                in_order(from, to)?;
                let operator = on(&world)?;
                operator.registered(&practice).await?;
                let name = match name {
                    Some(name) => name,
                    None => new_name()?,
                };
                println!("Replay {name} of {practice} …");
                let sent = operator.replay(&practice, subscription, (from, to), all, &name).await?;
                println!("{sent} events are in the queue.");
                Ok(())
            }
            Self::Reconcile { practice, all: _, database_at, control_at, apply, report, world } => {
                report.as_deref().map(Report::require_new).transpose()?;
                let moments = Moments { database: database_at, control: control_at };
                let plan = Plan::new(moments, apply, Timestamp::now())?;
                let done = on(&world)?.reconcile(practice.as_deref(), plan).await?;
                show(&done, report.as_deref())
            }
            Self::RestoreControl { from, control_at, overwrite, apply, report, world } => {
                report.as_deref().map(Report::require_new).transpose()?;
                let done = on(&world)?.restore_control(&from, control_at, (overwrite, apply)).await?;
                show(&done, report.as_deref())
            }
            Self::ExportActivity { from, to, practice, world } => {
                in_order(from, to)?;
                let operator = on(&world)?;
                if let Some(practice) = &practice {
                    operator.registered(practice).await?;
                }
                let rows = operator.export_activity((from, to), practice.as_deref()).await?;
                eprintln!("{rows} calls were written.");
                Ok(())
            }
        }
    }
}

/// Prints or writes a report.
///
/// # Errors
/// When a guarantee is broken.
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
    let hint = if report.applied { "" } else { "; --apply mends those that are open" };
    Err(Error::Refused(format!("guarantees are broken{hint}:{}", failures.join(""))))
}

/// A name that people can read.
fn text(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn in_order(from: Timestamp, to: Timestamp) -> Result<()> {
    if from < to {
        return Ok(());
    }
    Err(Error::Refused(format!("--to ({to}) must be later than --from ({from})")))
}
