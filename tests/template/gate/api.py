"""Rules about the HTTP API, its routes and the files that belong to them."""

import json
import re
from collections import Counter

from .template import text

# What an access log may hold. Paths, queries, headers and user agents are left out on purpose: they can name patients.
LOGGABLE = {
    "requestId", "requestTimeEpoch", "routeKey", "status", "responseLatency", "responseLength", "identity.sourceIp",
    "integrationStatus", "integrationLatency", "integrationErrorMessage",
}


def one_default_stage(template):
    for name, api in template.of_type("AWS::Serverless::HttpApi").items():
        if api.get("StageName") != "$default":
            yield f"{name} names a stage: it would prefix every path"


def throttled_and_whole(template):
    for name, api in template.of_type("AWS::Serverless::HttpApi").items():
        settings = api.get("DefaultRouteSettings", {})
        if api.get("FailOnWarnings") is not True:
            yield f"{name} is deployed whatever API Gateway warns of"
        if not settings.get("ThrottlingRateLimit") or not settings.get("ThrottlingBurstLimit"):
            yield f"{name} has no throttling of its own"


def access_log_without_patients(template):
    for name, api in template.of_type("AWS::Serverless::HttpApi").items():
        settings = api.get("AccessLogSettings", {})
        if settings.get("DestinationArn") != {"Fn::GetAtt": ["ApiAccessLogs", "Arn"]}:
            yield f"{name} writes no access log of ours"
        log_format = settings.get("Format", "")
        for variable in re.findall(r"\$([^\"\s]*)", log_format):
            if variable.removeprefix("context.") not in LOGGABLE:
                yield f"{name} logs ${variable}"
        if not {"requestId", "routeKey", "status"} <= set(re.findall(r"\$context\.(\w+)", log_format)):
            yield f"{name} does not log which call had which answer"
        try:
            json.loads(log_format)
        except ValueError:
            yield f"{name} has an access log format that is not JSON"


def each_route_once(template):
    routes = Counter(route for route, _ in template.routes())
    for route, count in routes.items():
        if count > 1:
            yield f"{route} is taken {count} times"
        if route != "$default" and not re.fullmatch(r"[A-Z]+ /v1(/[a-z0-9.-]+|/\{[A-Za-z]+\})+", route):
            yield f"{route} is no path under /v1"
    if "$default" not in routes:
        yield "nothing answers a call that no route takes"


def each_noun_has_one_function(template):
    """`/v1/admin/…` is the admin function's alone, `/v1/{PPass}/visits/…` the visits' function's."""
    owners = {}
    for route, name in template.routes():
        noun = re.sub(r"^\S+ /v1/(\{PPass\}/)?([^/]+).*", r"\2", route)
        if owners.setdefault(noun, name) != name:
            yield f"{route} is {name}'s, {noun} is {owners[noun]}'s"


def route_names_its_api(template):
    for name, _, event_name, event in template.events("HttpApi"):
        if text(event.get("ApiId")) != "${Api}":
            yield f"{name} {event_name} would make an API of its own"


def every_function_has_an_event_file(template):
    groups = [function["CodeUri"].removeprefix("functions/") for function in template.functions().values()]
    files = sorted(path.stem for path in (template.project / "events").glob("*.json"))
    for group in groups:
        if not any(belongs_to(file, group, groups) for file in files):
            yield f"events/ has no {group}.json or {group}-….json"
    for file in files:
        if not any(belongs_to(file, group, groups) for group in groups):
            yield f"events/{file}.json belongs to no function"


def belongs_to(file, group, groups):
    """Whether an event file is for a group: the longest group that its name begins with."""
    fits = [one for one in groups if file == one or file.startswith(f"{one}-")]
    return bool(fits) and max(fits, key=len) == group


def event_files_take_routes_of_their_function(template):
    groups = {function["CodeUri"].removeprefix("functions/"): name for name, function in template.functions().items()}
    routes = set(template.routes())
    for path in sorted((template.project / "events").glob("*.json")):
        event = json.loads(path.read_text())
        if "routeKey" not in event:
            continue
        owner = next((name for group, name in groups.items() if belongs_to(path.stem, group, list(groups))), None)
        if (event["routeKey"], owner) not in routes:
            yield f"events/{path.name} takes {event['routeKey']}, which is no route of {owner}"
            continue
        called = f"{event['requestContext']['http']['method']} {event['rawPath']}"
        filled = re.sub(r"\{(\w+)\}", lambda name: event.get("pathParameters", {}).get(name[1], name[0]), event["routeKey"])
        if event["routeKey"] not in ("$default", event["requestContext"]["routeKey"]) or filled not in ("$default", called):
            yield f"events/{path.name} calls {called}, which is not {filled}"


RULES = [
    one_default_stage, throttled_and_whole, access_log_without_patients, each_route_once, each_noun_has_one_function, route_names_its_api,
    every_function_has_an_event_file, event_files_take_routes_of_their_function,
]
