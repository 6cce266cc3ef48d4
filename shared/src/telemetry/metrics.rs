//! Metrics in CloudWatch's embedded metric format: a line names which of its own numbers are metrics.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! An event of one of these targets has fields with the metrics' names. What is no dimension can be searched and costs
//! nothing; each value of a dimension is paid for with each of its metrics.

use serde_json::{Map, Value, json};

/// A call of the API; `Route`: method and template, `unmatched` for whatever no route takes.
pub const CALLS: &str = "metrics::calls";
/// The first invocation of a process; `Function`: its group.
pub const COLD_STARTS: &str = "metrics::cold_starts";
/// An attempt of a delivery; `Lane`: `fast` or `slow`.
pub const DELIVERIES: &str = "metrics::deliveries";
/// A row of the EMR's that could not be read, once a day and process.
pub const DATA_PROBLEMS: &str = "metrics::data_problems";
/// A credential that was refused: a wrong API key, admin secret or claim token, or an attempt over its limit.
pub const REFUSALS: &str = "metrics::refusals";
/// A run of the log poller.
pub const POLLS: &str = "metrics::polls";

struct Set {
    target: &'static str,
    dimension: Option<&'static str>,
    /// Name and unit. A line need not have all of them.
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
            // From the event's occurrence to its first success.
            ("DeliveryLag", "Milliseconds"),
        ],
    },
    Set { target: DATA_PROBLEMS, dimension: None, metrics: &[("UnreadableRows", "Count")] },
    Set { target: REFUSALS, dimension: None, metrics: &[("RefusedCredentials", "Count")] },
    Set {
        target: POLLS,
        dimension: None,
        metrics: &[
            // One for each subscription that gets it.
            ("EventsRead", "Count"),
            ("PracticesFailed", "Count"),
            ("DueRetries", "Count"),
            ("OldestDueSeconds", "Seconds"),
            // Of practices' logs: see the line's message.
            ("LogFaults", "Count"),
            // Of a practice and its EMR, once a day.
            ("BridgeFindings", "Count"),
        ],
    },
];

pub(super) fn is_measured(target: &str) -> bool {
    SETS.iter().any(|set| set.target == target)
}

/// What CloudWatch is to take from the line; nothing from one that lacks the dimension, such as a delivery by hand, which
/// goes through no lane.
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
