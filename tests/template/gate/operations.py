"""Rules about what operators see: alarms that ring for every function and queue and say what to do, and the dashboard."""

import json
import re

from .functions import INVOKED_BY_OPERATORS
from .metrics import EXIST, OURS, of_alarm, of_dashboard, problem
from .template import references, text

POINTER = re.compile(r'infra/runbook\.md, "([^"]+)"\.$')
# So many metrics fit into the expression of an alarm.
MOST_METRICS = 10


def alarms(template):
    return template.of_type("AWS::CloudWatch::Alarm")


def read_by_alarms(template):
    """(metric, value of its first dimension) of all that alarms read."""
    return {(metric, next(iter(dimensions.values()), None)) for alarm in alarms(template).values() for _, metric, dimensions in of_alarm(alarm)}


def every_function_is_alarmed(template):
    read = read_by_alarms(template)
    for name in template.functions():
        for metric in ("Errors", "Throttles"):
            if name not in INVOKED_BY_OPERATORS and (metric, f"${{{name}}}") not in read:
                yield f"nobody is told of {name}'s {metric}"


def nearing_the_time_out_is_alarmed(template):
    """p99 between 7 and 10 tenths of the time-out; of the API's functions together, by what its callers wait."""
    percentiles = {(metric, value): alarm["Threshold"] for alarm in alarms(template).values() if alarm.get("ExtendedStatistic") == "p99"
                   for _, metric, dimensions in of_alarm(alarm) for value in dimensions.values()}
    routed = {name for name, *_ in template.events("HttpApi")}
    for name, function in template.functions().items():
        threshold = percentiles.get(("Duration", f"${{{name}}}"), 0)
        if name not in routed and name not in INVOKED_BY_OPERATORS and not 0.7 <= threshold / 1000 / function["Timeout"] < 1:
            yield f"nobody is told that {name} nears its time-out"
    shortest = min(template.functions()[name]["Timeout"] for name in routed)
    for name in template.of_type("AWS::Serverless::HttpApi"):
        if not 0 < percentiles.get(("Latency", f"${{{name}}}"), 0) < 1000 * shortest:
            yield f"nobody is told that {name} is slow"


def dead_letters_and_age_alarmed(template):
    read = read_by_alarms(template)
    for name, queue in template.of_type("AWS::SQS::Queue").items():
        metric = "ApproximateAgeOfOldestMessage" if queue.get("RedrivePolicy") else "ApproximateNumberOfMessagesVisible"
        if (metric, f"${{{name}.QueueName}}") not in read:
            yield f"nobody is told of {name}'s {metric}"


def tables_are_alarmed(template):
    read = read_by_alarms(template)
    indexed = {(metric, dimensions.get("GlobalSecondaryIndexName")) for alarm in alarms(template).values() for _, metric, dimensions in of_alarm(alarm)}
    for name, table in template.of_type("AWS::DynamoDB::Table").items():
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors"):
            if (metric, f"${{{name}}}") not in read:
                yield f"nobody is told of {name}'s {metric}"
        for index in table.get("GlobalSecondaryIndexes", []):
            if ("WriteThrottleEvents", index["IndexName"]) not in indexed:
                yield f"nobody is told that writes wait for {name}'s {index['IndexName']}"


def retries_and_practices_are_alarmed(template):
    read = read_by_alarms(template)
    for metric in ("OldestDueSeconds", "PracticesFailed"):
        if (metric, None) not in read:
            yield f"nobody is told of {metric}"


def alarms_reach_somebody(template):
    for name, alarm in alarms(template).items():
        for action in ("AlarmActions", "OKActions"):
            if alarm.get(action) != {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}:
                yield f"{name} has no {action}"


def alarms_say_what_to_do(template):
    sections = re.findall(r"(?m)^#+ (.+)$", (template.project / "infra/runbook.md").read_text())
    for name, alarm in alarms(template).items():
        description = alarm.get("AlarmDescription", "").strip()
        pointer = POINTER.search(description)
        if not pointer or pointer[1] not in sections:
            yield f"{name} points to no section of the runbook"
        if " First " not in description:
            yield f"{name} does not say what to do first"


def alarms_can_be_evaluated(template):
    for name, alarm in alarms(template).items():
        queries = alarm.get("Metrics", [])
        shown = [one for one in queries if one.get("ReturnData", True)]
        if queries and (len(shown) != 1 or "Expression" not in shown[0]):
            yield f"{name} watches {len(shown)} results"
        if len(list(of_alarm(alarm))) > MOST_METRICS:
            yield f"{name} reads more than {MOST_METRICS} metrics"
        if alarm.get("TreatMissingData") not in ("notBreaching", "breaching"):
            yield f"{name} does not say what no data means"


def metrics_exist(template):
    read = [(name, metric) for name, alarm in alarms(template).items() for metric in of_alarm(alarm)]
    read += [(name, metric) for name, dashboard in template.of_type("AWS::CloudWatch::Dashboard").items() for metric in of_dashboard(dashboard)]
    for name, metric in read:
        if wrong := problem(template, *metric):
            yield f"{name}: {wrong}"


def our_metrics_are_written(template):
    written = (template.project / "shared/src/telemetry/metrics.rs").read_text()
    for namespace, metric in EXIST:
        if namespace == OURS and f'("{metric}", "' not in written:
            yield f"no function writes {metric}"


def dashboard_shows_all(template):
    for name, dashboard in template.of_type("AWS::CloudWatch::Dashboard").items():
        shown = {(metric, value) for _, metric, dimensions in of_dashboard(dashboard) for value in dimensions.values()}
        wanted = {(metric, f"${{{function}}}") for function in template.functions() if function not in INVOKED_BY_OPERATORS
                  for metric in ("ConcurrentExecutions", "Throttles", "Duration", "Errors")}
        wanted |= {(metric, f"${{{queue}.QueueName}}") for queue in template.of_type("AWS::SQS::Queue")
                   for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")}
        wanted |= {(metric, f"${{{table}}}") for table in template.of_type("AWS::DynamoDB::Table")
                   for metric in ("ReadThrottleEvents", "WriteThrottleEvents")}
        for widget in json.loads(text(dashboard["DashboardBody"]))["widgets"]:
            if widget["type"] not in ("metric", "alarm"):
                yield f"{name} has a widget of the type {widget['type']}, which may run or load what is not ours"
        for metric, value in sorted(wanted - shown):
            yield f"{name} does not show {value}'s {metric}"
        listed = {arn for widget in json.loads(text(dashboard["DashboardBody"]))["widgets"] for arn in widget["properties"].get("alarms", [])}
        for difference in sorted(listed ^ {f"${{{alarm}.Arn}}" for alarm in alarms(template)}):
            yield f"{name} and the alarms differ in {difference}"
    if not template.of_type("AWS::CloudWatch::Dashboard"):
        yield "there is no dashboard"


def operators_learn_the_names(template):
    """Tables, queues, secrets, buckets and what operators invoke have generated names; commands find them in the outputs."""
    told = references(template.body.get("Outputs", {}))
    kinds = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret", "AWS::S3::Bucket", "AWS::Logs::LogGroup",
             "AWS::CloudWatch::Dashboard", "AWS::CloudFront::Distribution")
    for name in [*(one for kind in kinds for one in template.of_type(kind)), *INVOKED_BY_OPERATORS]:
        if name not in told:
            yield f"no output tells of {name}"


RULES = [
    every_function_is_alarmed, nearing_the_time_out_is_alarmed, dead_letters_and_age_alarmed, tables_are_alarmed,
    retries_and_practices_are_alarmed, alarms_reach_somebody, alarms_say_what_to_do, alarms_can_be_evaluated, metrics_exist,
    our_metrics_are_written, dashboard_shows_all, operators_learn_the_names,
]
