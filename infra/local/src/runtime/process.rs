//! Starts and ends the functions' processes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// How long a process may take to end after SIGTERM.
const TERMINATION_TIME: Duration = Duration::from_secs(2);

type Request = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes from one thread that lives as long as the host.
///
/// The kernel treats the death of the thread that started a process as the death of its parent, and
/// threads of the async runtime come and go.
pub(super) struct Launcher {
    requests: mpsc::Sender<Request>,
    guard: Option<PathBuf>,
}

impl Launcher {
    pub(super) fn start(guard: Option<PathBuf>) -> Result<Self> {
        let (requests, received) = mpsc::channel::<Request>();
        let runtime = Handle::current();
        let work = move || {
            let _entered = runtime.enter();
            for (mut command, reply) in received {
                // If the receiver is gone, dropping the child kills it.
                let _ = reply.send(command.spawn());
            }
        };
        thread::Builder::new().name("launcher".to_owned()).spawn(work).map_err(Error::io("a thread"))?;
        Ok(Self { requests, guard })
    }

    /// Starts a binary with exactly these variables; its output goes to the log.
    pub(super) async fn launch(
        &self,
        binary: &Path,
        environment: &BTreeMap<String, String>,
        log: &Path,
    ) -> io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = match &self.guard {
            Some(guard) => {
                let mut command = Command::new(guard);
                command.arg("guard").arg(std::process::id().to_string()).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C must reach only the local stack, which then ends its functions gracefully.
            .process_group(0)
            .kill_on_drop(true);
        let (reply, started) = oneshot::channel();
        let gone = || io::Error::other("the launcher has stopped");
        self.requests.send((command, reply)).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

/// Ends a process as Lambda does: SIGTERM, then SIGKILL if it does not end.
pub(super) async fn terminate(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && kill_process(pid, Signal::TERM).is_ok()
        && tokio::time::timeout(TERMINATION_TIME, child.wait()).await.is_ok()
    {
        return;
    }
    kill(child).await;
}

/// Kills a process.
pub(super) async fn kill(child: &mut Child) {
    // Fails only if the process has already ended.
    let _ = child.kill().await;
}

/// Returns the log file of a function's processes.
pub(super) fn log_path(folder: &Path, function: &str) -> PathBuf {
    folder.join(format!("{function}.log"))
}

/// Renames the last run's log to `<function>.log.1` and creates a new one.
pub(super) fn rotate_log(folder: &Path, function: &str) -> Result<()> {
    let log = log_path(folder, function);
    if log.exists() {
        std::fs::rename(&log, folder.join(format!("{function}.log.1"))).map_err(Error::file(&log))?;
    }
    File::create(&log).map(drop).map_err(Error::file(&log))
}
