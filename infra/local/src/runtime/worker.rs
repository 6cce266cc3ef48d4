//! A worker: one environment from its process's start to its end.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::environment::Environment;
use super::invocation::{Invocation, Job, Outcome, failure};
use super::pool::{End, Pool, Turn};
use super::process;
use crate::random;
use crate::shutdown::stopped;
use crate::template::REGION;

/// How long a process may take until it first asks for an invocation. Lambda gives 10 s and, when that isn't enough,
/// a second try; debug binaries on a busy machine get the sum at once.
const INIT_TIME: Duration = Duration::from_secs(20);

/// How long a running invocation may go on once the stack stops.
const FINISHING_TIME: Duration = Duration::from_secs(3);

/// Runs one environment until it is retired, crashes, or the stack stops.
pub(super) async fn run(pool: Arc<Pool>) {
    let end = match Running::start(&pool).await {
        Ok(mut running) => {
            let end = running.serve(&pool).await;
            pool.shared.environments().remove(&running.token);
            end
        }
        Err(error) => {
            fail_waiting(&pool, &failure("Runtime.InvalidEntrypoint", &error.to_string()));
            End::NeverCameUp
        }
    };
    pool.leave(end);
}

/// Answers the waiting invocation for which this environment was started.
fn fail_waiting(pool: &Pool, outcome: &Outcome) {
    if let Some(job) = pool.take_waiting() {
        let _ = job.reply.send(outcome.clone());
    }
}

struct Running {
    token: String,
    environment: Arc<Environment>,
    child: Child,
    stop: watch::Receiver<bool>,
}

/// How an invocation left its environment.
enum After {
    Reusable,
    Gone,
}

impl Running {
    async fn start(pool: &Pool) -> io::Result<Self> {
        let token = random::alphanumeric(32).map_err(io::Error::other)?;
        let function = &pool.deployed.function;
        let environment = Arc::new(Environment::new(&function.id));
        pool.shared.environments().insert(token.clone(), Arc::clone(&environment));
        let variables = variables(pool, &token);
        let log = process::log_path(&pool.shared.settings.logs, &function.binary);
        match pool.shared.launcher.launch(&pool.deployed.binary, &variables, &log).await {
            Ok(child) => Ok(Self { token, environment, child, stop: pool.shared.stop.clone() }),
            Err(error) => {
                pool.shared.environments().remove(&token);
                let binary = pool.deployed.binary.display();
                Err(io::Error::new(error.kind(), format!("{binary} can't be started: {error}")))
            }
        }
    }

    async fn serve(&mut self, pool: &Pool) -> End {
        let failed = tokio::select! {
            ready = self.environment.ready() => ready.err().map(Outcome::Failure),
            status = self.child.wait() => Some(failure("Runtime.ExitError", &exit_text(status, "at its start"))),
            () = sleep(INIT_TIME) => Some(failure("Sandbox.Timedout", "The function did not come up in time")),
            () = stopped(&mut self.stop) => None,
        };
        if let Some(outcome) = failed {
            fail_waiting(pool, &outcome);
            process::kill(&mut self.child).await;
            return End::NeverCameUp;
        }
        if *self.stop.borrow() {
            process::terminate(&mut self.child).await;
            return End::NeverCameUp;
        }
        let mut first = true;
        let end = loop {
            let turn = pool.next_turn(first);
            first = false;
            let job = match turn {
                Turn::Work(job) => job,
                Turn::Wait(number, receive) => match self.wait(pool, number, receive).await {
                    Ok(job) => job,
                    Err(end) => break end,
                },
            };
            match self.invoke(pool, job).await {
                After::Reusable if !*self.stop.borrow() => {}
                After::Reusable => break End::Lost,
                After::Gone => return End::Lost,
            }
        };
        process::terminate(&mut self.child).await;
        end
    }

    /// Waits for a job; an error when there will be none for this environment.
    async fn wait(
        &mut self,
        pool: &Pool,
        number: u64,
        mut receive: oneshot::Receiver<Job>,
    ) -> Result<Job, End> {
        loop {
            tokio::select! {
                job = &mut receive => return job.map_err(|_| End::Lost),
                _ = self.child.wait() => {
                    // A job that was handed over at this very moment must not be lost.
                    receive.close();
                    if let Ok(job) = receive.try_recv() {
                        pool.give_back(job);
                    }
                    return Err(End::Lost);
                }
                () = sleep(pool.shared.settings.idle) => {
                    if pool.may_retire(number) {
                        return Err(End::Retired);
                    }
                }
                () = stopped(&mut self.stop) => return Err(End::Lost),
            }
        }
    }

    async fn invoke(&mut self, pool: &Pool, job: Job) -> After {
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
        let outcome = tokio::select! {
            ready = self.environment.ready() => match ready {
                Ok(()) => return After::Reusable,
                Err(error) => Outcome::Failure(error),
            },
            status = self.child.wait() => {
                failure("Runtime.ExitError", &format!("RequestId: {id} Error: {}", exit_text(status, "")))
            }
            () = sleep_until(Instant::from_std(invocation.deadline)) => {
                let seconds = function.timeout.as_secs_f64();
                failure("Sandbox.Timedout", &format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"))
            }
            () = stopped => {
                self.environment.abandon(failure("Sandbox.Failure", "The local stack is stopping"));
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

/// The environment of a function's process: Lambda's own variables, the template's, the local stack's.
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
