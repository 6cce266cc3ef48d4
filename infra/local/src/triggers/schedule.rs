//! Runs a schedule: invokes its function at the start and at every interval, never concurrently.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::random;
use crate::runtime::{InvocationResult, InvokeError, RuntimeHost};
use crate::shutdown::stopped;
use crate::template::{ACCOUNT, REGION, Schedule};
use crate::triggers::when_free;

pub(super) async fn run(
    function: String,
    schedule: Schedule,
    runtime: Arc<RuntimeHost>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = interval(schedule.every);
    // After an invocation that took longer than the interval, skip the missed ticks.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stopped(&mut stop) => return,
        }
        let event = schedule.input.clone().unwrap_or_else(|| scheduled_event(&schedule.name));
        match when_free(&runtime, &function, Bytes::from(event.to_string()), schedule.every).await {
            Ok(InvocationResult::Success(_)) => {}
            Ok(InvocationResult::Failure(error)) => {
                eprintln!("{function} ({}) failed: {error}", schedule.name);
            }
            Err(InvokeError::Stopping) => return,
            Err(error) => eprintln!("{function} ({}): {error}", schedule.name),
        }
    }
}

/// Returns EventBridge's own event, for a schedule without an `Input`.
fn scheduled_event(name: &str) -> Value {
    json!({
        "version": "0",
        "id": random::uuid().unwrap_or_default(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}")],
        "detail": {},
    })
}
