"""Visibility: alarms cover every function, queue and table, notify someone and say what to do. The dashboard shows the rest."""

import json
import re

from . import rule
from .template import FUNCTION, HTTP_API, LOG_GROUP, NO_VALUE, QUEUE, SECRET, TABLE, references, text
from .wiring import ACCESS, INVOKED_BY_OPERATORS, OF_DEPLOYMENTS

ALARM, DASHBOARD = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"
OURS = "${AWS::StackName}"
# namespace → metric → its dimensions, with alternatives separated by "|". The functions write the
# metrics of OURS themselves.
METRICS = {
    "AWS/ApiGateway": dict.fromkeys(("Count", "4xx", "5xx", "Latency"), "ApiId"),
    "AWS/Lambda": {**dict.fromkeys(("Invocations", "Throttles", "Duration", "ConcurrentExecutions"), "FunctionName"),
                   "Errors": "FunctionName|FunctionName Resource ExecutedVersion"},
    f"{OURS}/access": dict.fromkeys(ACCESS, ""),
    "AWS/SQS": dict.fromkeys(("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"), "QueueName"),
    "AWS/DynamoDB": {"SystemErrors": "TableName Operation", **dict.fromkeys(("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"), "TableName"),
                     **dict.fromkeys(("ReadThrottleEvents", "WriteThrottleEvents"), "TableName|TableName GlobalSecondaryIndexName")},
    OURS: {"Duration": "Route", "Faults": "Route", "ColdStarts": "Function", "Delivered": "Lane", "DeliveryFailures": "Lane", "DeliveryLag": "Lane",
           "EventsRead": "", "PracticesFailed": "", "DueRetries": "", "OldestDueSeconds": "", "RefusedCredentials": "", "LogFaults": "", "BridgeFindings": "", "UnreadableRows": ""},
}
SEARCH = re.compile(r"""SEARCH\('\{"([^"]+)",(\w+)\} MetricName="(\w+)"', '[\w.]+', \d+\)""")
POINTER = re.compile(r' First .*infra/runbook\.md, "([^"]+)"\.$', re.DOTALL)
SUMS = re.compile(r"SUM\(FILL\(METRICS\(\), 0\)\)|IF\(errors > \d, 100 \* errors / calls, 0\)")
NOTIFIES = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], NO_VALUE]}
# An alarm looks back at most this many seconds; otherwise it would ring too late and for too long.
LOOKS_BACK = 1200
GENERATED_NAMES = (TABLE, QUEUE, SECRET, LOG_GROUP, DASHBOARD, "AWS::S3::Bucket", "AWS::CloudFront::Distribution")


def read_by_alarm(alarm):
    """Yields (namespace, metric, dimensions) of everything that an alarm reads."""
    for metric in [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] or [alarm]:
        yield text(metric.get("Namespace")), metric.get("MetricName"), {one["Name"]: text(one["Value"]) for one in metric.get("Dimensions", [])}


def read_by_alarms(template):
    return [(name, alarm, read) for name, alarm in template.of_type(ALARM).items() for read in read_by_alarm(alarm)]


def widgets(template):
    return [widget for dashboard in template.of_type(DASHBOARD).values() for widget in json.loads(text(dashboard["DashboardBody"]))["widgets"]]


def read_by_dashboard(template):
    """Yields the same for the dashboard. A search yields a dimension without a value; any other expression yields itself as the namespace."""
    for line in [line for widget in widgets(template) for line in widget["properties"].get("metrics", [])]:
        words = [one for one in line if isinstance(one, str)]
        if words:
            previous = words = previous[:len(previous) - len(words) + 1] + words[1:] if words[0] == "..." else words
            yield words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))
        for expression in [one["expression"] for one in line if isinstance(one, dict) and "expression" in one]:
            found = SEARCH.fullmatch(expression)
            yield (found[1], found[3], {found[2]: None}) if found else (expression, None, {})


def dimension_values(template):
    """Returns dimension → its possible values."""
    tables = template.of_type(TABLE)
    return {
        "ApiId": {f"${{{name}}}" for name in template.of_type(HTTP_API)}, "FunctionName": {f"${{{name}}}" for name in template.of_type(FUNCTION)},
        "QueueName": {f"${{{name}.QueueName}}" for name in template.of_type(QUEUE)}, "TableName": {f"${{{name}}}" for name in tables},
        "GlobalSecondaryIndexName": {index["IndexName"] for table in tables.values() for index in table.get("GlobalSecondaryIndexes", [])},
        "Lane": {"fast", "slow"}, "Operation": {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems"},
    }


@rule
def metrics_exist(template):
    """An alarm on a misspelled metric never rings."""
    known = dimension_values(template)
    read = [(name, one) for name, _, one in read_by_alarms(template)] + [("the dashboard", one) for one in read_by_dashboard(template)]
    for name, (namespace, metric, dimensions) in read:
        if " ".join(dimensions) not in METRICS.get(namespace, {}).get(metric, "no such metric").split("|"):
            yield f"{name}: there is no {namespace} {metric} by {sorted(dimensions)}"
        for dimension, value in dimensions.items():
            if value is not None and value not in known.get(dimension, {value}):
                yield f"{name}: there is no {dimension} {value}"
    written = (template.project / "shared/src/telemetry/metrics.rs").read_text()
    for metric in METRICS[OURS]:
        if f'("{metric}", "' not in written:
            yield f"no function writes {metric}"


@rule
def everything_is_alarmed(template):
    alarmed = {(metric, value) for name, _, (_, metric, dimensions) in read_by_alarms(template) if name not in OF_DEPLOYMENTS
               for value in [*dimensions.values(), None]}
    wanted = {(metric, f"${{{name}}}") for name in set(template.functions()) - INVOKED_BY_OPERATORS for metric in ("Errors", "Throttles")}
    for name, queue in template.of_type(QUEUE).items():
        wanted.add(("ApproximateAgeOfOldestMessage" if "RedrivePolicy" in queue else "ApproximateNumberOfMessagesVisible", f"${{{name}.QueueName}}"))
    for name, table in template.of_type(TABLE).items():
        wanted |= {(metric, f"${{{name}}}") for metric in ("ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors")}
        wanted |= {("WriteThrottleEvents", index["IndexName"]) for index in table.get("GlobalSecondaryIndexes", [])}
    wanted |= {(metric, None) for metric in ("OldestDueSeconds", "PracticesFailed", "LogFaults", "BridgeFindings", "5xx", "Invocations")}
    for metric, value in sorted(wanted - alarmed, key=str):
        yield f"no alarm reads {metric} of {value or 'the stack'}"


@rule
def nearing_the_time_out_is_alarmed(template):
    """An alarm rings if the 99th percentile reaches 70 % of the time-out. One alarm covers the whole API, because callers wait for any of its functions."""
    percentiles = {(metric, value): alarm["Threshold"] / 1000 for _, alarm, (_, metric, dimensions) in read_by_alarms(template)
                   for value in dimensions.values() if alarm.get("ExtendedStatistic") == "p99"}
    routed = {name for name, *_ in template.events("HttpApi")}
    for name in set(template.functions()) - routed - INVOKED_BY_OPERATORS:
        if not 0.7 <= percentiles.get(("Duration", f"${{{name}}}"), 0) / template.functions()[name]["Timeout"] < 1:
            yield f"no alarm detects that {name} approaches its time-out"
    if not 0 < percentiles.get(("Latency", "${Api}"), 0) < min(template.functions()[name]["Timeout"] for name in routed):
        yield "no alarm detects that the API is slow"


@rule
def alarms_ring_in_time_and_reach_somebody(template):
    sections = re.findall(r"(?m)^#+ (.+)$", (template.project / "infra/runbook.md").read_text())
    for name, alarm in template.of_type(ALARM).items():
        if name not in OF_DEPLOYMENTS and (alarm.get("AlarmActions"), alarm.get("OKActions")) != (NOTIFIES, NOTIFIES):
            yield f"{name} notifies nobody when it starts or ends"
        pointer = POINTER.search(alarm.get("AlarmDescription", "").strip())
        if not pointer or pointer[1] not in sections:
            yield f"{name} does not say what to do first and which section of the runbook continues"
        # Missing data is a fault only where runs are counted.
        wanted = ("breaching", "LessThanThreshold") if alarm.get("MetricName") == "Invocations" else ("notBreaching", "GreaterThanThreshold")
        if (alarm.get("TreatMissingData"), alarm.get("ComparisonOperator")) != wanted:
            yield f"{name} treats missing data or the threshold the wrong way"
        metrics = [one["MetricStat"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        for one in metrics or [alarm]:
            if one["Period"] * alarm["EvaluationPeriods"] > LOOKS_BACK:
                yield f"{name} looks back for too long"
            if {one.get(key) for key in ("Stat", "Statistic", "ExtendedStatistic")} - {None} not in ({"Sum"}, {"Maximum"}, {"p99"}):
                yield f"{name} uses a statistic that hides single faults"
        # Lambda reports no errors in a minute in which it throttled every call, and CloudWatch does
        # not fill gaps in sums.
        shown = [one.get("Expression", "") for one in alarm.get("Metrics", []) if one.get("ReturnData", True)]
        if alarm.get("Metrics") and (len(shown) != 1 or not SUMS.fullmatch(shown[0])):
            yield f"{name} watches {shown}, not one sum that fills gaps"
        # AWS allows ten metrics per alarm.
        if len(metrics) > 10:
            yield f"{name} reads more than 10 metrics"


@rule
def functions_share_runtime_traces_and_logs(template):
    """One log group with JSON lines, so that one query follows a request from the API to the webhook."""
    shared = {"Runtime": "provided.al2023", "Handler": "bootstrap", "Architectures": [{"Ref": "Architecture"}], "Tracing": "Active",
              "LoggingConfig": {"LogFormat": "JSON", "LogGroup": {"Ref": "FunctionLogs"}}}
    for name, function in template.functions().items():
        for key, value in shared.items():
            if function.get(key) != value:
                yield f"{name} has its own {key}"


@rule
def the_dashboard_shows_everything(template):
    shown = {(metric, value) for _, metric, dimensions in read_by_dashboard(template) for value in dimensions.values()}
    wanted = {(metric, f"${{{name}}}") for name in set(template.functions()) - INVOKED_BY_OPERATORS
              for metric in ("ConcurrentExecutions", "Throttles", "Duration", "Errors")}
    wanted |= {(metric, f"${{{name}.QueueName}}") for name in template.of_type(QUEUE) for metric in METRICS["AWS/SQS"]}
    wanted |= {(metric, f"${{{name}}}") for name in template.of_type(TABLE) for metric in ("ReadThrottleEvents", "WriteThrottleEvents")}
    for metric, value in sorted(wanted - shown):
        yield f"the dashboard does not show {metric} of {value}"
    listed = {arn for widget in widgets(template) for arn in widget["properties"].get("alarms", [])}
    for arn in sorted(listed ^ {f"${{{name}.Arn}}" for name in set(template.of_type(ALARM)) - set(OF_DEPLOYMENTS)}):
        yield f"{arn} is only on the dashboard or only in the template"
    # Other widgets run code or load external content.
    if not {widget["type"] for widget in widgets(template)} <= {"metric", "alarm"}:
        yield "the dashboard has widgets other than metrics and alarms"


@rule
def operators_learn_generated_names(template):
    for name in sorted({*template.of_type(*GENERATED_NAMES), *INVOKED_BY_OPERATORS} - references(template.body.get("Outputs", {}))):
        yield f"no output contains the name of {name}"
