"""The metrics that the alarms and the dashboard read, and those that exist."""

import json
import re

from .template import text

OURS = "${AWS::StackName}"
FUNCTION, QUEUE, TABLE, API = {"FunctionName"}, {"QueueName"}, {"TableName"}, {"ApiId"}
INDEX, OPERATION = TABLE | {"GlobalSecondaryIndexName"}, TABLE | {"Operation"}
# (namespace, metric) → the sets of dimensions it comes with. The stack's name is the namespace of what the functions write themselves.
EXIST = {
    ("AWS/ApiGateway", "Count"): [API], ("AWS/ApiGateway", "4xx"): [API], ("AWS/ApiGateway", "5xx"): [API],
    ("AWS/ApiGateway", "Latency"): [API], ("AWS/ApiGateway", "IntegrationLatency"): [API],
    ("AWS/Lambda", "Invocations"): [FUNCTION], ("AWS/Lambda", "Errors"): [FUNCTION], ("AWS/Lambda", "Throttles"): [FUNCTION],
    ("AWS/Lambda", "Duration"): [FUNCTION], ("AWS/Lambda", "ConcurrentExecutions"): [FUNCTION],
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): [QUEUE], ("AWS/SQS", "ApproximateAgeOfOldestMessage"): [QUEUE],
    ("AWS/DynamoDB", "ReadThrottleEvents"): [TABLE, INDEX], ("AWS/DynamoDB", "WriteThrottleEvents"): [TABLE, INDEX],
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits"): [TABLE, INDEX], ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): [TABLE, INDEX],
    ("AWS/DynamoDB", "SystemErrors"): [OPERATION],
    (OURS, "Duration"): [{"Route"}], (OURS, "Faults"): [{"Route"}],
    (OURS, "ColdStarts"): [{"Function"}],
    (OURS, "Delivered"): [{"Lane"}], (OURS, "DeliveryFailures"): [{"Lane"}],
    (OURS, "DeliveryLag"): [{"Lane"}],
    (OURS, "EventsRead"): [set()], (OURS, "PracticesFailed"): [set()],
    (OURS, "DueRetries"): [set()], (OURS, "OldestDueSeconds"): [set()],
}
# Dimension → type of the resource it names, and how a template names that.
NAMED = {
    "ApiId": ("AWS::Serverless::HttpApi", "${{{}}}"), "FunctionName": ("AWS::Serverless::Function", "${{{}}}"),
    "QueueName": ("AWS::SQS::Queue", "${{{}.QueueName}}"), "TableName": ("AWS::DynamoDB::Table", "${{{}}}"),
}
LISTED = {
    "Lane": {"fast", "slow"},
    "Operation": {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems"},
}
SEARCH = re.compile(r"""SEARCH\('\{"(?P<namespace>[^"]+)",(?P<dimension>\w+)\} MetricName="(?P<metric>\w+)"', '[\w.]+', \d+\)""")


def of_alarm(alarm):
    """(namespace, metric, dimensions) of all that an alarm reads."""
    read = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
    for metric in read or [alarm]:
        dimensions = {one["Name"]: text(one["Value"]) for one in metric.get("Dimensions", [])}
        yield text(metric.get("Namespace")), metric.get("MetricName"), dimensions


def of_dashboard(dashboard):
    """The same of a dashboard; what a search finds has the dimension's value `None`."""
    for widget in json.loads(text(dashboard["DashboardBody"]))["widgets"]:
        previous = []
        for line in widget["properties"].get("metrics", []):
            words = [one for one in line if isinstance(one, str)]
            if words[:1] == ["..."]:
                words = previous[:len(previous) - len(words) + 1] + words[1:]
            if words:
                yield words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))
                previous = words
                continue
            for options in line:
                found = SEARCH.fullmatch(options["expression"])
                yield (found["namespace"], found["metric"], {found["dimension"]: None}) if found else (options["expression"], None, {})


def problem(template, namespace, metric, dimensions):
    """Why there is no such metric; nothing if there is."""
    if set(dimensions) not in EXIST.get((namespace, metric), []):
        return f"there is no {namespace} {metric} by {sorted(dimensions)}"
    for dimension, value in dimensions.items():
        if value is None:
            continue
        kind, form = NAMED.get(dimension, (None, "{}"))
        known = {form.format(name) for name in template.of_type(kind)} if kind else LISTED.get(dimension)
        if dimension == "GlobalSecondaryIndexName":
            table = template.of_type("AWS::DynamoDB::Table").get(dimensions["TableName"][2:-1], {})
            known = {one["IndexName"] for one in table.get("GlobalSecondaryIndexes", [])}
        if known is not None and value not in known:
            return f"{namespace} {metric} has no {dimension} {value}"
    return None
