//! Metrics in CloudWatch's embedded metric format: a line says which of its numbers are metrics.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! An event with one of these targets has fields with the names of the metrics. Fields that are not
//! dimensions can be searched at no cost. Each value of a dimension is billed once per metric.

use serde_json::{Map, Value, json};

/// An API call. `Route` is the method and path template, or `unmatched` if no route matches.
pub const CALLS: &str = "metrics::calls";
/// The first invocation of a process. `Function` is the function's name, such as `visits`.
pub const COLD_STARTS: &str = "metrics::cold_starts";
/// A delivery attempt. `Lane` is `fast` or `slow`.
pub const DELIVERIES: &str = "metrics::deliveries";
/// An EMR row that could not be read; reported once per day and process.
pub const DATA_PROBLEMS: &str = "metrics::data_problems";
/// A rejected credential: a wrong API key, admin secret or claim token, or too many attempts.
pub const REFUSALS: &str = "metrics::refusals";
/// A run of the log poller.
pub const POLLS: &str = "metrics::polls";

struct Set {
    target: &'static str,
    dimension: Option<&'static str>,
    /// The names and units. A line may lack some of them.
    metrics: &'static [(&'static str, &'static str)],
}

const SETS: [Set; 6] = [
    Set {
        target: CALLS,
        dimension: Some("Route"),
        metrics: &[("Duration", "Milliseconds"), ("Faults", "Count")],
    },
    Set { target: COLD_STARTS, dimension: Some("Function"), metrics: &[("ColdStarts", "Count")] },
    Set {
        target: DELIVERIES,
        dimension: Some("Lane"),
        metrics: &[
            ("Delivered", "Count"),
            ("DeliveryFailures", "Count"),
            // From the event's occurrence to its first successful delivery.
            ("DeliveryLag", "Milliseconds"),
        ],
    },
    Set { target: DATA_PROBLEMS, dimension: None, metrics: &[("UnreadableRows", "Count")] },
    Set { target: REFUSALS, dimension: None, metrics: &[("RefusedCredentials", "Count")] },
    Set {
        target: POLLS,
        dimension: None,
        metrics: &[
            // An event counts once for each subscription that receives it.
            ("EventsRead", "Count"),
            ("PracticesFailed", "Count"),
            ("DueRetries", "Count"),
            ("OldestDueSeconds", "Seconds"),
            // Faults in practices' logs: see the line's message.
            ("LogFaults", "Count"),
            // Findings about a practice and the EMR it is attached to, once a day.
            ("BridgeFindings", "Count"),
        ],
    },
];

pub(super) fn is_measured(target: &str) -> bool {
    SETS.iter().any(|set| set.target == target)
}

/// Returns the metric directive of a line.
///
/// `None` if the line lacks the dimension, as that of a manual delivery does, which uses no lane.
pub(super) fn directive(target: &str, namespace: &str, line: &Map<String, Value>) -> Option<Value> {
    let set = SETS.iter().find(|set| set.target == target)?;
    let dimensions: Vec<&str> = set.dimension.into_iter().collect();
    let there = dimensions.iter().all(|name| line.get(*name).is_some_and(Value::is_string));
    let metrics: Vec<Value> = set
        .metrics
        .iter()
        .filter(|(name, _)| line.get(*name).is_some_and(Value::is_number))
        .map(|(name, unit)| json!({ "Name": name, "Unit": unit }))
        .collect();
    (there && !metrics.is_empty())
        .then(|| json!({ "Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics }))
}
