//! The hottest partition of each table and index at ten thousand practices and 7,500 deliveries a
//! second.
//!
//! `cargo bench -p tests --bench partitions`, or
//! `… -- PRACTICES DELIVERIES_A_SECOND SHARDS SCHEDULES`.

#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../office"]
mod office {
    mod control;
    mod server;
    pub(crate) mod timeouts;
    mod waiting;

    pub(crate) use control::template;
}
#[path = "../partitions.rs"]
mod partitions;

use partitions::{Load, READS, WRITES, hottest, simulate, too_hot};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    let [practices, deliveries_a_second, shards, schedules] =
        <[usize; 4]>::try_from(numbers).unwrap_or([10_000, 7_500, 32, 20]);
    let load = Load {
        practices,
        deliveries_a_second,
        shards: i64::try_from(shards).expect("SHARDS must be a number"),
        schedules: u32::try_from(schedules).expect("SCHEDULES must be a number"),
        sample: 1,
        outage: false,
    };
    println!(
        "{practices} practices, {deliveries_a_second} deliveries a second, DeliveryShards {shards}, \
            {schedules} schedules"
    );
    println!("| table, index | hottest partition | write units/s of {WRITES} | read units/s of {READS} |");
    println!("| --- | --- | ---: | ---: |");
    let heats = Box::pin(simulate(load)).await;
    for (table, partition, heat) in hottest(&heats) {
        println!("| {table} | {partition} | {:.0} | {:.0} |", heat.writes, heat.reads);
    }
    let hot = too_hot(&heats);
    assert!(hot.is_empty(), "too hot: {hot:#?}");
}
