"""Wiring: functions, routes, queues and schedules are connected as their names say."""

import json
import re
from collections import Counter

from . import rule
from .template import NO_VALUE, QUEUE, TABLE, as_list, nodes, references

# Functions without an event, which operators invoke.
INVOKED_BY_OPERATORS = {"MigrateFunction"}
DAY = 86_400
# The alarms that roll back a gradual deployment and notify nobody.
OF_DEPLOYMENTS = ("DeploymentFaultsAlarm", "NewPracticeApiErrorsAlarm", "NewPartnerApiErrorsAlarm", "NewPipelineErrorsAlarm")
# What the access log's filters count.
ACCESS = {"Calls": '{ $.status = "*" }', "Faults": '{ $.status = "5*" }'}
# Variables that are not named after what they refer to.
OTHER_NAMES = {"DEAD_LETTER_QUEUE_URL": "EventsDeadLetterQueue", "RUST_LOG": "LogLevel", "METRICS_NAMESPACE": "AWS::StackName"}
EVERYWHERE = {"RUST_LOG", "METRICS_NAMESPACE", "PORTAL_ORIGIN"}
# They know the keys' ARN but may not read them, see token-keys-are-for-callers.
ASK_THE_AGE_OF_KEYS = {"AdminFunction"}
NETWORK = {"Fn::If": ["InVpc", {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}, NO_VALUE]}


@rule
def variables_refer_to_what_they_say(template):
    for name in template.functions():
        variables = template.variables(name)
        for variable, value in variables.items():
            wanted = OTHER_NAMES.get(variable, "".join(map(str.capitalize, variable.removesuffix("_URL").split("_"))))
            # The rules about secrets check the literal values.
            if isinstance(value, dict) and value != {"Ref": wanted}:
                yield f"{name} {variable} is not {wanted}"
        # A token is verified by its keys and its issuer.
        checks_tokens = "TOKEN_KEYS_SECRET" in variables and name not in ASK_THE_AGE_OF_KEYS
        missing = (EVERYWHERE | ({"TOKEN_ISSUER"} if checks_tokens else set())) - set(variables)
        if missing:
            yield f"{name} lacks {sorted(missing)}"


@rule
def conditions_ask_whether_a_parameter_is_given(template):
    conditions = template.body.get("Conditions", {})
    for name, condition in conditions.items():
        if not (re.match(r'\{"Fn::Not": \[\{"Fn::Equals": \[', json.dumps(condition)) and condition["Fn::Not"][0]["Fn::Equals"][1] in ("", "0", "AllAtOnce")):
            yield f"{name} does not test whether its parameter is set"
    for node in nodes(template.body):
        if isinstance(node, dict) and "Fn::If" in node and node["Fn::If"][1] == NO_VALUE:
            yield f"an If of {node['Fn::If'][0]} has its branches reversed"


@rule
def functions_are_reached_and_bounded(template):
    folders = {manifest.parent.name for manifest in template.project.glob("functions/*/Cargo.toml")}
    for folder in sorted(folders ^ template.folders()):
        yield f"functions/{folder} is only in {'the project' if folder in folders else 'the template'}"
    for name, function in template.functions().items():
        kinds = {event["Type"] for event in function.get("Events", {}).values()}
        if bool(kinds) == (name in INVOKED_BY_OPERATORS):
            yield f"{name} is invoked by {sorted(kinds) or 'nothing'}"
        # A queue's event has its own maximum.
        if kinds and "SQS" not in kinds and "ReservedConcurrentExecutions" not in function:
            yield f"{name} can take all of the account's concurrency"
        # 0 would stop the function.
        if isinstance(function.get("ReservedConcurrentExecutions", {}), int) or function.get("VpcConfig", NETWORK) != NETWORK:
            yield f"{name} has its own reservation or network instead of the parameters'"
        # API Gateway gives up after 30 s.
        if "HttpApi" in kinds and function["Timeout"] >= 30:
            yield f"{name} runs longer than API Gateway waits"


@rule
def releases_are_published_and_watched(template):
    """Each deployment publishes a version of every function, because a changed parameter reaches the alias only through a new version."""
    gradual = {"Type": {"Ref": "TrafficShifting"}, "Alarms": {"Fn::If": ["ShiftsGradually", [{"Ref": one} for one in OF_DEPLOYMENTS], [NO_VALUE]]}}
    # CodeDeploy supports ten.
    if len(OF_DEPLOYMENTS) > 10:
        yield "CodeDeploy supports at most 10 alarms"
    for name, function in template.functions().items():
        if (function.get("AutoPublishAlias"), function.get("AutoPublishCodeSha256")) != ("live", {"Ref": "Release"}):
            yield f"{name} is not published with every release"
        if function.get("DeploymentPreference") != gradual:
            yield f"{name} does not move as TrafficShifting says, or no alarm stops it"


@rule
def a_bad_release_is_seen_within_a_minute(template):
    """A five-minute canary gets only a share of the calls: an alarm over several minutes, or on the previous version, would not detect anything."""
    read, watched = set(), [template.resources.get(one, {}) for one in OF_DEPLOYMENTS]
    for name, resource in zip(OF_DEPLOYMENTS, watched, strict=True):
        alarm = resource.get("Properties", {})
        metrics = [one["MetricStat"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        if {one["Period"] for one in metrics} != {60} or alarm.get("EvaluationPeriods") != 1 or "DatapointsToAlarm" in alarm:
            yield f"{name} does not ring after one minute"
        if resource.get("Condition") != "ShiftsGradually" or alarm.get("ActionsEnabled") is not False:
            yield f"{name} is not only for deployments that shift gradually"
        for metric in [one["Metric"] for one in metrics]:
            dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
            if metric["Namespace"] == "AWS/Lambda":
                function = next(iter(references(dimensions.get("FunctionName"))), None)
                of_the_new_version = {"FunctionName": {"Ref": function}, "Resource": {"Fn::Sub": f"${{{function}}}:live"},
                                      "ExecutedVersion": {"Fn::GetAtt": [function, "Version.Version"]}}
                if dimensions != of_the_new_version:
                    yield f"{name} does not read the new version of {function}"
                read.add((metric["MetricName"], function))
            else:
                read.add((metric["MetricName"], None))
    wanted = {("Errors", name) for name in set(template.functions()) - INVOKED_BY_OPERATORS} | {("Faults", None), ("Calls", None)}
    for metric, function in sorted(wanted - read, key=str):
        yield f"no alarm of a deployment reads {metric} of {function or 'the API'}"
    filters = {one["MetricTransformations"][0]["MetricName"]: one for one in template.of_type("AWS::Logs::MetricFilter").values()}
    for metric, pattern in ACCESS.items():
        one = filters.get(metric, {})
        if (one.get("FilterPattern"), one.get("LogGroupName")) != (pattern, {"Ref": "ApiAccessLogs"}):
            yield f"{metric} are not counted in the access log"


@rule
def each_route_once_and_each_noun_one_function(template):
    """`/v1/admin/…` belongs only to the admin function, `/v1/{PPass}/visits/…` only to the visits function."""
    owners, routes = {}, list(template.routes())
    for route, count in Counter(route for route, _ in routes).items():
        if count > 1 or (route != "$default" and not re.fullmatch(r"[A-Z]+ /v1(/[a-z0-9.-]+|/\{[A-Za-z]+\})+", route)):
            yield f"{route} is taken {count} times or is not under /v1"
    for route, name in routes:
        noun = re.sub(r"^\S+ /v1/(\{PPass\}/)?([^/]+).*", r"\2", route)
        if owners.setdefault(noun, name) != name:
            yield f"{route} belongs to {name}, but {noun} to {owners[noun]}"
    if "$default" not in owners:
        yield "no function handles calls that match no route"
    for name, _, event in template.events("HttpApi"):
        if event.get("ApiId") != {"Ref": "Api"}:
            yield f"{name} would create its own API"


@rule
def event_files_call_their_function(template):
    groups, routes, files = template.groups(), set(template.routes()), list(template.event_files())
    for group in sorted(set(groups) - {group for _, group in files}):
        yield f"events/ has no {group}.json or {group}-….json"
    for path, group in files:
        event = json.loads(path.read_text())
        if not group:
            yield f"events/{path.name} belongs to no function"
        elif "routeKey" in event:
            http, route = event["requestContext"]["http"], event["routeKey"]
            filled = re.sub(r"\{(\w+)\}", lambda name, given=event: given.get("pathParameters", {}).get(name[1], name[0]), route)
            called = f"{http['method']} {event['rawPath']}"
            if (route, groups[group]) not in routes or event["requestContext"]["routeKey"] != route or filled not in ("$default", called):
                yield f"events/{path.name} calls {called}, which is not {route} of {groups[group]}"


@rule
def queues_lose_nothing(template):
    queues, consumed = template.of_type(QUEUE), {}
    for name, function, event in template.events("SQS"):
        queue = next(iter(references(event["Queue"])))
        consumed[queue] = name
        if "ReportBatchItemFailures" not in as_list(event.get("FunctionResponseTypes", [])):
            yield f"{name}: one failure would redeliver a whole batch"
        if not event.get("ScalingConfig", {}).get("MaximumConcurrency"):
            yield f"{name}: nothing limits its concurrency"
        # Lambda recommends six times the time-out. Much more would delay the messages of a process
        # that died.
        if not 6 * function["Timeout"] <= queues.get(queue, {}).get("VisibilityTimeout", 30) <= 12 * function["Timeout"]:
            yield f"the visibility time-out of {queue} is not 6 to 12 time-outs of {name}"
    for name, queue in queues.items():
        redrive, kept = queue.get("RedrivePolicy", {}), queue.get("MessageRetentionPeriod", 4 * DAY)
        if name in consumed and (references(redrive.get("deadLetterTargetArn")) != {"EventsDeadLetterQueue"} or redrive.get("maxReceiveCount", 0) < 2):
            yield f"{name} sends its dead letters elsewhere, or at the first failure"
        # A dead letter keeps the age that it had in the source queue.
        if not 4 * DAY <= kept < 14 * DAY if name in consumed else kept != 14 * DAY:
            yield f"{name} keeps its messages for {kept} s: too short for an outage of some days, or too long for its dead letters"


@rule
def every_shard_is_polled_and_no_run_overlaps(template):
    """Without a schedule for its shard, a practice's events would never be delivered."""
    inputs = {}
    for name, function, event in template.events("Schedule"):
        inputs.setdefault(name, []).append(event.get("Input", ""))
        if event.get("Schedule") != "rate(1 minute)" or function["Timeout"] > 60:
            yield f"{name} does not run every minute, or runs longer than a minute"
        if function.get("EventInvokeConfig") != {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}:
            yield f"{name}: a failed run is retried concurrently with the next one"
    for name, own in inputs.items():
        if sorted(own) != [json.dumps({"shard": shard, "of": len(own)}, separators=(",", ":")) for shard in range(len(own))]:
            yield f"{name} polls {own}, not every shard once"


@rule
def indexes_hold_what_lists_show(template):
    """Lists are read from indexes alone: those of the control table hold whole items, those of deliveries all but what an endpoint answered."""
    for name, table in template.of_type(TABLE).items():
        keys = {one["AttributeName"] for one in table.get("KeySchema", [])}
        held = []
        for index in table.get("GlobalSecondaryIndexes", []):
            projection = index.get("Projection", {})
            if projection.get("ProjectionType") == "INCLUDE":
                own = {one["AttributeName"] for one in index["KeySchema"]}
                held.append((index["IndexName"], keys | own | set(projection.get("NonKeyAttributes", []))))
                if "history" in held[-1][1]:
                    yield f"{name} {index['IndexName']} holds what endpoints answered"
                if own & set(projection.get("NonKeyAttributes", [])):
                    yield f"{name} {index['IndexName']} names a key among the other attributes"
            elif projection != {"ProjectionType": "ALL"}:
                yield f"{name} {index['IndexName']} does not hold whole items"
        places = {"feedPk", "feedPlace", "duePk", "partnerPlace"}
        if len({frozenset(attributes - places) for _, attributes in held}) > 1:
            yield f"{name}: indexes hold different attributes"
