//! No partition is hot at ten thousand practices and 7,500 deliveries a second.

use crate::partitions::{Load, hottest, large, simulate, too_hot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_practices_keep_every_partition_within_its_limit() {
    let heats = Box::pin(simulate(large(32, 10))).await;
    let tables: Vec<String> = hottest(&heats).into_iter().map(|(table, ..)| table).collect();
    // The simulation touches all of these.
    let touched = [
        "ControlTable",
        "ControlTable gsi1",
        "ControlTable gsi2",
        "DeliveriesTable",
        "DeliveriesTable byPractice",
        "DeliveriesTable due",
        "DeliveriesTable feed",
    ];
    assert_eq!(tables, touched);
    assert_eq!(too_hot(&heats), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_number_of_shards_would_overload_the_feed() {
    let heats = Box::pin(simulate(large(4, 10))).await;
    let hot = too_hot(&heats);
    assert!(!hot.is_empty() && hot.iter().all(|it| it.starts_with("DeliveriesTable feed FEED#")), "{hot:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_every_endpoint_keeps_every_partition_within_its_limit() {
    let heats = Box::pin(simulate(Load { outage: true, ..large(32, 10) })).await;
    assert_eq!(too_hot(&heats), Vec::<String>::new());
}
