//! `cargo run`: serves the whole API on this machine.

mod functions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use officepro_local::binaries;
use officepro_local::cli::{Cli, Command, Drill, Run};
use officepro_local::data_dir::{self, DataDir};
use officepro_local::demo::{self, Demo};
use officepro_local::error::{Error, Result};
use officepro_local::running::RunningStack;
use officepro_local::runtime::guard;
use officepro_local::stack::{HttpListener, Options, Stack, Stores};
use officepro_local::template::{LocalResources, Template};
use officepro_local::{drill, emit, practices, project};
use officepro_operator::Operator;
use officepro_operator::commands::{Operation, show};
use officepro_operator::reconcile::report::Report;
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    if let Some(function) = functions::started() {
        return report(function());
    }
    let cli = Cli::parse();
    if let Some(Command::Guard { parent, program }) = &cli.command {
        let error = guard::become_program(*parent, program);
        eprintln!("{}: {error}", program.display());
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Error::io("could not start the async runtime"));
    report(runtime.and_then(|runtime| runtime.block_on(perform(cli))))
}

fn report<E: std::fmt::Display>(done: std::result::Result<(), E>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(cli: Cli) -> Result<()> {
    let root = project::root()?;
    let data_dir = cli.data_dir.unwrap_or_else(|| root.join(".local"));
    match cli.command {
        None => {
            let mut signals = Signals::catch()?;
            // A stack that does not serve yet needs no graceful shutdown.
            let stack = tokio::select! {
                started = start(&root, &data_dir, cli.run) => started?,
                () = signals.end() => {
                    println!("\nStopped before startup finished.");
                    return Ok(());
                }
            };
            serve(stack, &mut signals).await
        }
        Some(Command::Reset) => {
            data_dir::reset(&data_dir)?;
            println!("Deleted {}.", data_dir.display());
            Ok(())
        }
        Some(Command::Emit { practice, scope, count }) => {
            emit::emit(&data_dir, &practice, scope, count).await?;
            println!("Wrote {count} {scope} events to the log of {practice}.");
            Ok(())
        }
        Some(Command::Redeploy { release }) => redeploy(&root, &data_dir, release).await,
        Some(Command::RestoreDrill(options)) => {
            restore_drill(&root, options, cli.run.binaries.as_deref()).await
        }
        Some(Command::Operate(operation)) => operate(&root, &data_dir, operation).await,
        // `main` handled it before starting the async runtime.
        Some(Command::Guard { .. }) => Ok(()),
    }
}

async fn start(root: &Path, data_dir: &Path, options: Run) -> Result<Stack> {
    let data_dir = DataDir::open(data_dir)?;
    let listener = HttpListener::open(options.port).await?;
    if options.fresh {
        data_dir.clear()?;
    }
    let template = root.join("template.yaml");
    let binaries = functions(root, options.binaries.as_deref(), options.release).await?;
    println!("Starting the stores …");
    let stores = Stores::start(&template, data_dir).await?;
    let demo = demo::prepare(&stores, &listener.base_url, options.practice_db.as_deref()).await?;
    let serve = Options {
        binaries,
        portal: root.join("infra/portal"),
        guard: Some(own_program()?),
        environments: options.environments.into(),
        every: options.every,
        events: !options.without_events,
        variables: options.variables,
    };
    println!("Starting the gateway and the functions …");
    let stack = Stack::start(stores, listener, serve).await?;
    print_banner(&stack, demo.as_ref());
    Ok(stack)
}

/// Returns the function binaries by package name: those in a folder, those built as they are
/// deployed, or this program.
async fn functions(root: &Path, folder: Option<&Path>, release: bool) -> Result<BTreeMap<String, PathBuf>> {
    let packages = packages(&root.join("template.yaml"))?;
    match folder {
        Some(folder) => binaries::find(folder, &packages),
        None if release => {
            println!("Building {} functions …", packages.len());
            binaries::build(root, &packages).await
        }
        None => binaries::select(&packages, functions::executables(&own_program()?)),
    }
}

/// Runs an operator's command on the stack in this data folder.
async fn operate(root: &Path, data_dir: &Path, operation: Operation) -> Result<()> {
    match operation {
        Operation::Migrate { tolerate, .. } if !RunningStack::is_in(data_dir) => {
            practices::migrate_all(&root.join("template.yaml"), data_dir, tolerate).await
        }
        operation => operation.perform(|| operator(data_dir)).await,
    }
}

/// Connects to the stack running in this data folder.
fn operator(data_dir: &Path) -> Result<Operator> {
    Ok(RunningStack::of(data_dir)?.operator(data_dir))
}

/// Runs the restore drill in a folder, which is deleted afterwards unless `--keep` names it.
async fn restore_drill(root: &Path, options: Drill, binaries: Option<&Path>) -> Result<()> {
    options.report.as_deref().map(Report::require_new).transpose()?;
    let binaries = functions(root, binaries, false).await?;
    let setting = drill::Setting {
        root: root.to_owned(),
        binaries,
        guard: Some(own_program()?),
        server: options.practice_db,
    };
    let folder = match &options.keep {
        Some(folder) if folder.exists() => {
            return Err(Error::Refused(format!("{} already exists", folder.display())));
        }
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("officepro-restore-drill-{}", std::process::id())),
    };
    let done = Box::pin(drill::run(&setting, &folder)).await;
    if options.keep.is_none() && folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    show(&done?, options.report.as_deref())
}

/// Switches the stack running in this data folder to the functions' new binaries.
async fn redeploy(root: &Path, data_dir: &Path, release: bool) -> Result<()> {
    let stack = RunningStack::of(data_dir)?;
    // Otherwise they are in this program, which cargo has just built.
    if release {
        functions(root, None, release).await?;
    }
    stack.take_new_binaries()
}

/// Returns the names of the packages that contain the template's functions.
fn packages(template: &Path) -> Result<Vec<String>> {
    let template = Template::read(template, &LocalResources::default())?;
    let packages: BTreeSet<String> = template.functions.into_iter().map(|it| it.binary).collect();
    Ok(packages.into_iter().collect())
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(Error::io("the path of this program"))
}

fn print_banner(stack: &Stack, demo: Option<&Demo>) {
    let base = &stack.base_url;
    println!("\nOfficePro Partner API on this machine");
    println!("  Portal   {base}/");
    println!("  API      {base}/v1");
    println!("  Data     {}", stack.stores().data_dir().display());
    if let Some(demo) = demo {
        print!("{demo}");
    }
    println!("Ctrl-C stops it.");
}

/// The signals that stop or redeploy the stack.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> Result<Self> {
        let of = |kind| signal(kind).map_err(Error::io("signal handler"));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGINT (Ctrl-C) or SIGTERM.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until SIGINT (Ctrl-C) or SIGTERM; SIGHUP deploys new function binaries.
async fn serve(mut stack: Stack, signals: &mut Signals) -> Result<()> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => match stack.redeploy() {
                Ok(()) => println!("New invocations run the new binaries."),
                Err(error) => eprintln!("Redeploy failed, the old binaries keep running: {error}"),
            },
        }
    }
    println!("\nStopping …");
    stack.stop().await;
    Ok(())
}
