"""Rules about the functions: where their code is, what they are given, how long they may run."""

import json
import re
import tomllib

from .template import as_list, references

# API Gateway gives up on an integration after this many seconds.
INTEGRATION_SECONDS = 30
# Functions without an event, and who invokes them. An entry that nothing uses any more is a finding too.
INVOKED_BY_OPERATORS = {"MigrateFunction": "after a deployment; whoever invokes it sees its answer"}
SECONDS = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400, "days": 86400}


def one_name_everywhere(template):
    for name, function in template.functions().items():
        group = function.get("CodeUri", "").removeprefix("functions/")
        camel = "".join(word.capitalize() for word in group.split("-"))
        metadata = template.resources[name].get("Metadata", {})
        if name != f"{camel}Function":
            yield f"{name} should be {camel}Function, for its code is in {function.get('CodeUri')}"
        if metadata != {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": group}}:
            yield f"{name} is not built as the binary {group} by rust-cargolambda"


def every_function_has_its_folder(template):
    functions = {function["CodeUri"] for function in template.functions().values()}
    folders = {f"functions/{path.parent.name}" for path in (template.project / "functions").glob("*/Cargo.toml")}
    for folder in sorted(functions - folders):
        yield f"{folder} is in the template only"
    for folder in sorted(folders - functions):
        yield f"{folder} is no function of the template"
    for folder in sorted(functions & folders):
        package = tomllib.loads((template.project / folder / "Cargo.toml").read_text())["package"]["name"]
        if f"functions/{package}" != folder:
            yield f"{folder} holds the package {package}"


def every_function_is_invoked(template):
    idle = {name for name, function in template.functions().items() if not function.get("Events")}
    for name in sorted(idle - set(INVOKED_BY_OPERATORS)):
        yield f"nothing invokes {name}"
    for name in sorted(set(INVOKED_BY_OPERATORS) - idle):
        yield f"{name} is not left to operators"


def one_architecture(template):
    for name, function in template.functions().items():
        runs = function.get("Runtime"), function.get("Handler"), function.get("Architectures")
        if runs != ("provided.al2023", "bootstrap", [{"Ref": "Architecture"}]):
            yield f"{name} does not run bootstrap on provided.al2023 and the Architecture parameter"


def traced(template):
    for name, function in template.functions().items():
        if function.get("Tracing") != "Active":
            yield f"{name} is not traced"


def logs_to_one_group(template):
    for name, function in template.functions().items():
        logging = function.get("LoggingConfig", {})
        if logging.get("LogFormat") != "JSON" or set(logging) != {"LogFormat", "LogGroup"}:
            yield f"{name} does not log all of its lines as JSON"
        if logging.get("LogGroup") != {"Ref": "FunctionLogs"}:
            yield f"{name} does not log to FunctionLogs, by which a request is followed and whose time is bounded"


def api_answers_before_the_gateway_gives_up(template):
    for name in sorted({name for name, *_ in template.events("HttpApi")}):
        if template.functions()[name]["Timeout"] >= INTEGRATION_SECONDS:
            yield f"{name} may run longer than API Gateway waits"


def batch_failures_reported(template):
    for name, _, event_name, event in template.events("SQS"):
        if "ReportBatchItemFailures" not in as_list(event.get("FunctionResponseTypes", [])):
            yield f"{name} {event_name}: one failure would send a whole batch again"
        if not event.get("ScalingConfig", {}).get("MaximumConcurrency"):
            yield f"{name} {event_name}: nothing bounds its concurrency"


def concurrency_can_be_bounded(template):
    """Queues by the maximum of their event, anything else by a reservation."""
    for name, function in template.functions().items():
        consumes = any(event["Type"] == "SQS" for event in function.get("Events", {}).values())
        if name not in INVOKED_BY_OPERATORS and not consumes and "ReservedConcurrentExecutions" not in function:
            yield f"{name} can take all of the account's concurrency"


def visibility_outlasts_the_consumer(template):
    queues = template.of_type("AWS::SQS::Queue")
    for name, function, event_name, event in template.events("SQS"):
        for queue in references(event["Queue"]) & set(queues):
            visibility = queues[queue].get("VisibilityTimeout", 30)
            if visibility < 6 * function["Timeout"]:
                yield f"{name} {event_name}: {queue} hides a message {visibility} s, less than 6 × {function['Timeout']} s"


def schedules_do_not_overlap(template):
    for name, function, event_name, event in template.events("Schedule"):
        rate = re.fullmatch(r"rate\((\d+) (minutes?|hours?|days?)\)", event.get("Schedule", ""))
        if not rate:
            yield f"{name} {event_name}: {event.get('Schedule')} is no rate"
        elif int(rate[1]) * SECONDS[rate[2]] < function["Timeout"]:
            yield f"{name} {event_name}: a run may outlast the rate"
        if function.get("EventInvokeConfig", {}).get("MaximumRetryAttempts") != 0:
            yield f"{name} {event_name}: a failed run is retried beside the next one"
        try:
            json.loads(event.get("Input", ""))
        except ValueError:
            yield f"{name} {event_name}: its input is not JSON"


RULES = [
    one_name_everywhere, every_function_has_its_folder, every_function_is_invoked, one_architecture, traced, logs_to_one_group,
    api_answers_before_the_gateway_gives_up, batch_failures_reported,
    concurrency_can_be_bounded, visibility_outlasts_the_consumer, schedules_do_not_overlap,
]
