//! Lines with metrics conform to CloudWatch's specification of the embedded metric format.

use serde_json::{Map, Value};

use super::watched;

const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// Changes a valid line into an invalid one.
type Spoil = fn(&mut Value);

/// Returns the violations of the specification in a line.
fn faults_of(line: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            faults.push(rule.to_owned());
        }
    };
    let empty = Map::new();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let only =
        |value: &Value, known: &[&str]| object(value).keys().all(|name| known.contains(&name.as_str()));
    let text =
        |value: &Value, longest: usize| value.as_str().is_some_and(|it| (1..=longest).contains(&it.len()));
    let root = line.as_object().unwrap_or(&empty);
    let metadata = &line["_aws"];
    must(only(metadata, &["Timestamp", "CloudWatchMetrics"]), "the metadata has members of its own only");
    must(metadata["Timestamp"].is_u64(), "the timestamp is a number of milliseconds");
    must(line.to_string().len() <= 256 << 10, "a line has at most 256 KiB");
    let directives = metadata["CloudWatchMetrics"].as_array().cloned().unwrap_or_default();
    must(!directives.is_empty(), "there are directives");
    for directive in directives {
        must(
            only(&directive, &["Namespace", "Dimensions", "Metrics"]),
            "a directive has members of its own only",
        );
        must(text(&directive["Namespace"], 1024), "the namespace is a text");
        let sets = directive["Dimensions"].as_array().cloned().unwrap_or_default();
        must(!sets.is_empty(), "there are sets of dimensions");
        for set in sets {
            let names = set.as_array().cloned().unwrap_or_else(|| vec![Value::Null]);
            must(names.len() <= 30, "a set has at most 30 dimensions");
            for name in names {
                let value = name.as_str().and_then(|name| root.get(name)).unwrap_or(&Value::Null);
                must(text(&name, 250) && text(value, 1024), "a dimension is a text of the line");
            }
        }
        let metrics = directive["Metrics"].as_array().cloned().unwrap_or_default();
        must((1..=100).contains(&metrics.len()), "a directive has 1 to 100 metrics");
        for metric in metrics {
            must(
                only(&metric, &["Name", "Unit", "StorageResolution"]),
                "a metric has members of its own only",
            );
            let value = metric["Name"].as_str().and_then(|name| root.get(name)).unwrap_or(&Value::Null);
            must(text(&metric["Name"], 1024) && value.is_number(), "a metric is a number of the line");
            must(
                metric["Unit"].as_str().is_none_or(|it| UNITS.contains(&it)),
                "the unit is one of CloudWatch's",
            );
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_line_conforms_to_the_specification() {
    let logs = watched("info", Some("Tests")).await;
    let lines = logs.metrics();
    let mut messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages, ["call", "delivery attempted", "due", "polled"]);
    for line in &lines {
        assert_eq!(faults_of(line), Vec::<String>::new(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_enforces_the_rules_of_the_specification() {
    let lines = watched("info", Some("Tests")).await.metrics();
    let good = lines.into_iter().find(|line| line["message"] == "call").unwrap();
    let spoilt: [(&str, Spoil); 8] = [
        ("no timestamp", |it| it["_aws"]["Timestamp"] = Value::Null),
        ("no namespace", |it| it["_aws"]["CloudWatchMetrics"][0]["Namespace"] = "".into()),
        ("a unit of our own", |it| {
            it["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = "Calls".into();
        }),
        ("a member of our own", |it| it["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Value"] = 1.into()),
        ("no dimension sets", |it| {
            it["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = Value::Array(Vec::new());
        }),
        ("a dimension that is not a text", |it| it["Route"] = 1.into()),
        ("a metric that is not a number", |it| it["Duration"] = "1".into()),
        ("a missing metric", |it| drop(it.as_object_mut().unwrap().remove("Faults"))),
    ];
    for (what, spoil) in spoilt {
        let mut line = good.clone();
        spoil(&mut line);
        assert_eq!(faults_of(&line).len(), 1, "{what}");
    }
}
