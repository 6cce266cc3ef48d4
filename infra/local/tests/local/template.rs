use std::collections::BTreeMap;
use std::path::Path;

use officepro_local::template::{LocalResources, RouteKey, Template};

#[test]
fn the_projects_own_template_can_be_run_locally() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let local = LocalResources { sqs_endpoint: "http://127.0.0.1:1".to_owned(), parameters: BTreeMap::new() };
    let template = Template::read(&root.join("template.yaml"), &local).unwrap();
    let defaults = template.functions.iter().flat_map(|function| &function.routes);
    assert_eq!(defaults.filter(|route| **route == RouteKey::Default).count(), 1);
    for function in &template.functions {
        let triggers = function.routes.len() + function.queues.len() + function.schedules.len();
        let by_operators = function.id == "MigrateFunction";
        assert!(triggers > 0 || by_operators, "nothing invokes {}", function.id);
        for (name, value) in &function.environment {
            if name.ends_with("_TABLE") {
                assert!(template.tables.iter().any(|table| table.id == *value), "{}: {name}", function.id);
            }
            if name.ends_with("_QUEUE_URL") {
                let known = |id: &str| value == &format!("http://127.0.0.1:1/000000000000/{id}");
                assert!(template.queues.iter().any(|queue| known(&queue.id)), "{}: {name}", function.id);
            }
            if name.ends_with("_SECRET") {
                let known = |id: &str| value.ends_with(&format!(":secret:{id}"));
                assert!(template.secrets.iter().any(|secret| known(&secret.id)), "{}: {name}", function.id);
            }
        }
    }
}

#[test]
fn each_lane_of_the_fan_out_reads_its_own_queue_with_one_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let template = Template::read(&root.join("template.yaml"), &LocalResources::default()).unwrap();
    let lanes: Vec<_> = template
        .functions
        .iter()
        .filter(|function| function.binary == "webhook-fanout")
        .map(|function| {
            let lane = function.environment.get("WEBHOOK_LANE").map(String::as_str);
            let [queue] = &function.queues[..] else { panic!("{} has several queues", function.id) };
            (function.name(), queue.queue.as_str(), lane)
        })
        .collect();
    let expected = [
        ("slow-fanout".to_owned(), "SlowEventsQueue", Some("slow")),
        ("webhook-fanout".to_owned(), "EventsQueue", None),
    ];
    assert_eq!(lanes, expected);
}
