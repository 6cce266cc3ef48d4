//! A worker: one environment from the start of its process to its end.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{SemaphorePermit, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::environment::Environment;
use super::invocation::{Invocation, InvocationResult, Job, failure};
use super::pool::{Pool, WorkerTask};
use super::process;
use crate::random;
use crate::shutdown::stopped;
use crate::template::REGION;

/// How long a process may take until it first asks for an invocation.
///
/// Lambda allows 10 s, then retries once; debug binaries on a busy machine get the sum at once.
const INIT_TIME: Duration = Duration::from_secs(20);

/// An environment lingers if its extension is still working after this time since the answer.
const LINGERS_AFTER: Duration = Duration::from_secs(2);

/// How long a running invocation may continue once the stack stops.
const FINISHING_TIME: Duration = Duration::from_secs(3);

/// Runs one environment until it is retired, crashes, or the stack stops.
pub(super) async fn run(pool: Arc<Pool>, number: u64) {
    start_and_serve(&pool, number, None).await;
    pool.leave(number);
}

/// Runs one environment of a new version, as [`run`] does.
///
/// It starts when it is its turn and no invocation is waiting, or at `idle_until` at the latest:
/// while it starts, it only takes processor time from the environments that serve.
pub(super) async fn replace(pool: Arc<Pool>, number: u64, idle_until: Instant) {
    let mut stop = pool.shared.stop.clone();
    let turn = async {
        let turn = pool.shared.replacing.acquire().await.ok();
        let _ = timeout_at(idle_until, pool.shared.backlog.cleared()).await;
        turn
    };
    let turn = tokio::select! {
        turn = turn => turn,
        () = stopped(&mut stop) => None,
    };
    if turn.is_some() && pool.begin_replacement(number) {
        start_and_serve(&pool, number, turn).await;
    }
    pool.leave(number);
}

/// `turn` is released when the environment has started.
async fn start_and_serve(pool: &Arc<Pool>, number: u64, turn: Option<SemaphorePermit<'_>>) {
    match Running::start(pool, number).await {
        Ok(mut running) => {
            if running.comes_up(pool).await {
                drop(turn);
                running.serve(pool).await;
            }
            pool.shared.environments().remove(&running.token);
        }
        Err(error) => {
            pool.fail_waiting(number, &failure("Runtime.InvalidEntrypoint", &error.to_string()));
        }
    }
}

struct Running {
    /// The worker's number in its pool.
    number: u64,
    token: String,
    environment: Arc<Environment>,
    child: Child,
    stop: watch::Receiver<bool>,
}

/// The state of an environment after an invocation.
enum After {
    Reusable,
    Gone,
}

impl Running {
    async fn start(pool: &Pool, number: u64) -> io::Result<Self> {
        let token = random::alphanumeric(32).map_err(io::Error::other)?;
        let function = &pool.deployed.function;
        let environment = Arc::new(Environment::new(&function.id));
        pool.shared.environments().insert(token.clone(), Arc::clone(&environment));
        let variables = variables(pool, &token);
        let log = process::log_path(&pool.shared.settings.logs, &function.name());
        let binary = pool.binary();
        match pool.shared.launcher.launch(&binary, &variables, &log).await {
            Ok(child) => Ok(Self { number, token, environment, child, stop: pool.shared.stop.clone() }),
            Err(error) => {
                pool.shared.environments().remove(&token);
                let binary = binary.display();
                Err(io::Error::new(error.kind(), format!("could not start {binary}: {error}")))
            }
        }
    }

    /// Waits until the process asks for its first invocation; kills it if it does not.
    async fn comes_up(&mut self, pool: &Pool) -> bool {
        let failed = tokio::select! {
            ready = self.environment.ready() => ready.err().map(InvocationResult::Failure),
            status = self.child.wait() => Some(failure("Runtime.ExitError", &exit_text(status,
                "during init"))),
            () = sleep(INIT_TIME) => Some(failure("Sandbox.Timedout", "The function did not start in time")),
            () = stopped(&mut self.stop) => None,
        };
        if let Some(outcome) = &failed {
            pool.fail_waiting(self.number, outcome);
            process::kill(&mut self.child).await;
        }
        failed.is_none()
    }

    async fn serve(&mut self, pool: &Arc<Pool>) {
        while !*self.stop.borrow() {
            let job = match pool.next_task(self.number) {
                WorkerTask::Work(job) => job,
                WorkerTask::Wait(receive) => match self.wait(pool, receive).await {
                    Some(job) => job,
                    None => break,
                },
                WorkerTask::Leave => break,
            };
            if let After::Gone = self.invoke(pool, job).await {
                return;
            }
        }
        process::terminate(&mut self.child).await;
    }

    /// Waits for a job; `None` if this environment gets no more.
    async fn wait(&mut self, pool: &Pool, mut receive: oneshot::Receiver<Job>) -> Option<Job> {
        loop {
            tokio::select! {
                job = &mut receive => return job.ok(),
                _ = self.child.wait() => {
                    // Do not lose a job that arrived at this moment.
                    receive.close();
                    if let Ok(job) = receive.try_recv() {
                        pool.give_back(job);
                    }
                    return None;
                }
                () = sleep(pool.shared.settings.idle) => {
                    if pool.may_retire(self.number) {
                        return None;
                    }
                }
                () = stopped(&mut self.stop) => return None,
            }
        }
    }

    async fn invoke(&mut self, pool: &Arc<Pool>, job: Job) -> After {
        let function = &pool.deployed.function;
        let Ok(invocation) = Invocation::new(&function.id, function.timeout, job.event.clone()) else {
            pool.give_back(job);
            process::kill(&mut self.child).await;
            return After::Gone;
        };
        if let Err(reply) = self.environment.dispatch(&invocation, job.reply) {
            pool.give_back(Job { event: job.event, reply });
            process::kill(&mut self.child).await;
            return After::Gone;
        }
        let id = &invocation.request_id;
        let mut stop = self.stop.clone();
        let stopped = async {
            stopped(&mut stop).await;
            sleep(FINISHING_TIME).await;
        };
        let (environment, number) = (self.environment.clone(), self.number);
        let lingering = async {
            environment.answered().await;
            sleep(LINGERS_AFTER).await;
            pool.linger(number, true);
            std::future::pending::<()>().await;
        };
        let ready = async {
            tokio::select! {
                ready = environment.ready() => ready,
                () = lingering => Ok(()),
            }
        };
        let outcome = tokio::select! {
            ready = ready => match ready {
                Ok(()) => {
                    pool.linger(number, false);
                    return After::Reusable;
                }
                Err(error) => InvocationResult::Failure(error),
            },
            status = self.child.wait() => {
                failure("Runtime.ExitError", &format!("RequestId: {id} Error: {}", exit_text(status, "")))
            }
            () = sleep_until(Instant::from_std(invocation.deadline)) => {
                let seconds = function.timeout.as_secs_f64();
                failure("Sandbox.Timedout", &format!("RequestId: {id} Error: Task timed out after \
                    {seconds:.2} seconds"))
            }
            () = stopped => {
                self.environment.abandon(InvocationResult::cut_off());
                return After::Reusable;
            }
        };
        self.environment.abandon(outcome);
        process::kill(&mut self.child).await;
        After::Gone
    }
}

fn exit_text(status: io::Result<ExitStatus>, when: &str) -> String {
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    format!("Runtime exited {when} with {status}").replace("  ", " ")
}

/// Returns the variables of a function's process: Lambda's own, the template's, the local stack's.
fn variables(pool: &Pool, token: &str) -> BTreeMap<String, String> {
    let function = &pool.deployed.function;
    let lambda = [
        ("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{token}", pool.shared.address)),
        ("AWS_LAMBDA_FUNCTION_NAME", function.id.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.id)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", token.chars().take(8).collect()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_rust".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ];
    let mut variables: BTreeMap<String, String> =
        lambda.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for name in ["PATH", "HOME", "RUST_BACKTRACE"] {
        if let Ok(value) = std::env::var(name) {
            variables.insert(name.to_owned(), value);
        }
    }
    variables.extend(function.environment.clone());
    variables.extend(pool.deployed.environment.clone());
    variables
}
