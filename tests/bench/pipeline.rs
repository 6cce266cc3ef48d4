//! The throughput of events from the log to partners' endpoints, on stand-ins for SQS and DynamoDB
//! in this process.
//!
//! `cargo bench -p tests --bench pipeline` runs everything, `… -- cost` only the cost of a
//! delivery, `… -- ill` only ten endpoints of which three fail, `… -- backlog 100000` only a
//! backlog of 100,000 rows. The figures are valid for one machine and for comparisons within one
//! run: the stand-ins store every message and item in files of SQLite.

#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../office"]
mod office {
    mod aws_proxy;
    mod control;
    pub(crate) mod database;
    pub(crate) mod fixture;
    pub(crate) mod queue;
    mod rejecting_queue;
    mod server;
    pub(crate) mod timeouts;
    mod waiting;

    pub(crate) use control::{StoreCalls, start as start_control, template};
    pub(crate) const NOW: &str = "2026-03-09T12:00:00Z";
}
#[path = "pipeline/endpoint.rs"]
mod endpoint;
#[path = "pipeline/stack.rs"]
mod stack;

use std::time::{Duration, Instant};

use endpoint::{Endpoint, Mood};
use stack::BenchStack;

/// Concurrent consumers per lane, in place of fan-out processes.
const CONSUMERS: usize = 8;

fn rate(count: usize, took: Duration) -> String {
    #[allow(clippy::cast_precision_loss)] // some thousands
    let rate = count as f64 / took.as_secs_f64();
    format!("{rate:.0}/s")
}

/// Returns this process's memory in MiB: the highest so far and the current.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()
    };
    (field("VmHWM:").unwrap_or_default() / 1024, field("VmRSS:").unwrap_or_default() / 1024)
}

/// Measures events from the row in the log to the answer 200, with fast endpoints.
async fn events(subscriptions: i64) {
    let rows = if subscriptions == 100 { 30 } else { 1_000 / usize::try_from(subscriptions).unwrap() };
    let stack = BenchStack::open().await;
    let endpoint = Endpoint::open(Mood::Well(Duration::ZERO)).await;
    for number in 1..=subscriptions {
        stack.subscribe(number, &endpoint.url).await;
    }
    let wanted = rows * usize::try_from(subscriptions).unwrap();
    let began = Instant::now();
    stack.write(rows, "claims").await;
    stack.run_until(CONSUMERS, || endpoint.taken() >= wanted).await;
    let took = began.elapsed();
    println!("{subscriptions:>4} subscriptions: {wanted:>6} events in {took:>9.2?}, {}", rate(wanted, took));
}

/// Measures the fan-out alone, with queued messages and endpoints that take 5 ms.
async fn deliveries() {
    let stack = BenchStack::open().await;
    let mut endpoints = Vec::new();
    for number in 1..=10 {
        let endpoint = Endpoint::open(Mood::Well(Duration::from_millis(5))).await;
        stack.subscribe(number, &endpoint.url).await;
        endpoints.push(endpoint);
    }
    let rows = 200;
    stack.write(rows, "claims").await;
    stack.poll().await;
    let began = Instant::now();
    let taken = || endpoints.iter().map(Endpoint::taken).sum::<usize>();
    stack.run_until(CONSUMERS, || taken() >= rows * 10).await;
    let took = began.elapsed();
    println!("endpoints of 5 ms: {} deliveries in {took:.2?}, {}", rows * 10, rate(rows * 10, took));
}

/// Returns the processor time of this thread in nanoseconds.
fn processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Measures the cost of a delivery in both functions: processor time and store calls. Each function
/// has one thread, as in Lambda; stand-ins and endpoints have their own.
async fn cost(subscriptions: i64) {
    let stack = BenchStack::open().await;
    let endpoint = Endpoint::apart(Mood::Well(Duration::ZERO));
    for number in 1..=subscriptions {
        stack.subscribe(number, &endpoint.url).await;
    }
    let rows = 4_000 / usize::try_from(subscriptions).unwrap();
    let deliveries = rows * usize::try_from(subscriptions).unwrap();
    stack.write(rows, "claims").await;
    let (_, before) = (stack.calls(), processor());
    while stack.left(rows).await {
        stack.poll().await;
    }
    let polled = (processor() - before, stack.calls());
    let events = stack.events(deliveries).await;
    let (_, before, began) = (stack.calls(), processor(), Instant::now());
    stack.deliver(events).await;
    let (delivered, took) = ((processor() - before, stack.calls()), began.elapsed());
    assert_eq!(endpoint.taken(), deliveries);
    #[allow(clippy::cast_precision_loss)] // some thousands
    let show = |(nanoseconds, calls): (u64, usize)| {
        let count = deliveries as f64;
        format!(
            "{:.3} ms processor and {:.2} store calls",
            nanoseconds as f64 / 1e6 / count,
            calls as f64 / count
        )
    };
    println!(
        "{subscriptions:>4} endpoints, a delivery: poller {}; fan-out {}, {} one batch at a time",
        show(polled),
        show(delivered),
        rate(deliveries, took)
    );
}

/// Measures seven of ten endpoints, first with three healthy others, then with three failing ones.
async fn ill() {
    let mut baseline = 0.0;
    for (name, moods) in [
        ("ten healthy endpoints", [Mood::Well(Duration::ZERO); 3]),
        ("one hangs, one fails, one drips", [Mood::Hangs, Mood::Fails, Mood::Drips]),
    ] {
        let stack = BenchStack::open().await;
        let mut well = Vec::new();
        for number in 1..=10 {
            let ill = usize::try_from(number - 1).ok().and_then(|index| moods.get(index));
            let endpoint = Endpoint::open(ill.copied().unwrap_or(Mood::Well(Duration::ZERO))).await;
            stack.subscribe(number, &endpoint.url).await;
            if ill.is_none() {
                well.push(endpoint);
            }
        }
        let rows = 1_000;
        let began = Instant::now();
        stack.write(rows, "claims").await;
        let taken = || well.iter().map(Endpoint::taken).sum::<usize>();
        stack.run_until(CONSUMERS, || taken() >= rows * well.len()).await;
        let took = began.elapsed();
        #[allow(clippy::cast_precision_loss)] // some thousands
        let throughput = (rows * well.len()) as f64 / took.as_secs_f64();
        if baseline == 0.0 {
            baseline = throughput;
        }
        println!(
            "{name:<32} the other seven: {throughput:.0} events/s, {:.2} of the first run",
            throughput / baseline
        );
    }
}

/// Measures the poller alone, on rows of which one in a hundred is an event.
async fn backlog(rows: usize) {
    let stack = BenchStack::open().await;
    stack.subscribe(1, "http://127.0.0.1:9/").await;
    stack.write_mixed(rows).await;
    let (_, before) = memory();
    let began = Instant::now();
    let mut highest = before;
    while stack.left(rows).await {
        stack.poll().await;
        highest = highest.max(memory().1);
    }
    let took = began.elapsed();
    println!(
        "backlog of {rows} rows: {took:.2?}, {}; resident {before} MiB before, at most {highest} MiB \
            meanwhile",
        rate(rows, took)
    );
}

fn costs() {
    for subscriptions in [1, 10] {
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(Box::pin(cost(subscriptions)));
        });
        thread.join().unwrap();
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    if let [name, rows] = wanted.as_slice()
        && name == "backlog"
    {
        return Box::pin(backlog(rows.parse().expect("ROWS must be a number"))).await;
    }
    if wanted.as_slice() == ["ill"] {
        return ill().await;
    }
    if wanted.as_slice() == ["cost"] {
        return costs();
    }
    costs();
    for subscriptions in [1, 10, 100] {
        Box::pin(events(subscriptions)).await;
    }
    Box::pin(deliveries()).await;
    Box::pin(ill()).await;
    Box::pin(backlog(100_000)).await;
    Box::pin(backlog(1_000_000)).await;
    let (highest, now) = memory();
    println!("resident: {now} MiB, {highest} MiB at most, stand-ins and databases included");
}
