"""Rules about what is handed to functions: each variable names what its name says, references lead where they should."""

import json

from .permissions import policies_of, role_of, statements
from .secrets import LITERALS
from .template import as_list, references

# Variable → what it refers to; a literal is held by the rules about secrets.
VARIABLES = {
    "CONTROL_TABLE": "ControlTable", "DELIVERIES_TABLE": "DeliveriesTable", "ACTIVITY_TABLE": "ActivityTable", "LEDGER_TABLE": "LedgerTable",
    "TOKEN_KEYS_SECRET": "TokenKeysSecret", "CATALOG_DSN_SECRET": "CatalogDsnSecret", "ADMIN_SECRETS_SECRET": "AdminSecretsSecret",
    "EDGE_SECRET": "EdgeSecret",
    "EVENTS_QUEUE_URL": "EventsQueue", "SLOW_EVENTS_QUEUE_URL": "SlowEventsQueue", "DEAD_LETTER_QUEUE_URL": "EventsDeadLetterQueue",
    "RUST_LOG": "LogLevel", "METRICS_NAMESPACE": "AWS::StackName", "PORTAL_ORIGIN": "PortalOrigin",
}
EVERYWHERE = {"RUST_LOG", "METRICS_NAMESPACE", "PORTAL_ORIGIN"}
# These come together: a token is checked by its keys and its issuer.
TOGETHER = {"TOKEN_KEYS_SECRET": "TOKEN_ISSUER"}
NOTHING = {"Ref": "AWS::NoValue"}
IN_THE_VPC = {"Fn::If": ["InVpc", {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}, NOTHING]}
RESERVED = [{"Fn::If": [condition, {"Ref": parameter}, NOTHING]}
            for condition, parameter in (("ReservesApi", "ApiReservedConcurrency"), ("ReservesPoller", "PollerReservedConcurrency"))]


def variables_name_what_they_say(template):
    for name, function in template.functions().items():
        own = function.get("Environment", {}).get("Variables", {})
        for variable, value in own.items():
            if variable not in VARIABLES and variable not in LITERALS:
                yield f"{name} {variable} is read by nothing of ours"
            elif variable in VARIABLES and value != {"Ref": VARIABLES[variable]}:
                yield f"{name} {variable} is not {VARIABLES[variable]}"
        wanted = EVERYWHERE | {other for one, other in TOGETHER.items() if one in own}
        for variable in sorted(wanted - set(own)):
            yield f"{name} has no {variable}"


def who_sends_knows_the_queue(template):
    """A queue that only feeds a function is no variable of it; one that it may send to is."""
    for name, function in template.functions().items():
        holders = {role_of(function)} | policies_of(template, role_of(function))
        sends = [statement for holder, statement in statements(template) if holder in holders and "sqs:SendMessage" in as_list(statement.get("Action", []))]
        known = references(function.get("Environment", {}).get("Variables", {}))
        for queue in sorted(references([statement.get("Resource") for statement in sends]) - known):
            yield f"{name} may send to {queue} but is not told its address"


def optional_settings_are_whole(template):
    """A reservation of 0 would stop a function, and half a network would keep it from its databases."""
    for name, function in template.functions().items():
        if function.get("VpcConfig", IN_THE_VPC) != IN_THE_VPC:
            yield f"{name} is not in the network of the parameters"
        if function.get("ReservedConcurrentExecutions", RESERVED[0]) not in RESERVED:
            yield f"{name} reserves something else than a parameter says"


def every_shard_is_polled(template):
    """A shard without a schedule would leave its practices' events in their databases."""
    polls = {}
    for name, _, _, event in template.events("Schedule"):
        polls.setdefault(name, []).append(json.loads(event.get("Input", "null")))
    for name, inputs in polls.items():
        if sorted(inputs, key=str) != sorted(({"shard": shard, "of": len(inputs)} for shard in range(len(inputs))), key=str):
            yield f"{name} polls {inputs}, not every shard once"


def dead_letters_come_to_their_queue(template):
    """One queue for what was given up, which is told of by an alarm and redriven by operators."""
    for name, queue in template.of_type("AWS::SQS::Queue").items():
        if queue.get("RedrivePolicy") and references(queue["RedrivePolicy"].get("deadLetterTargetArn")) != {"EventsDeadLetterQueue"}:
            yield f"{name} gives up its messages elsewhere"


RULES = [
    variables_name_what_they_say, who_sends_knows_the_queue, optional_settings_are_whole, every_shard_is_polled, dead_letters_come_to_their_queue,
]
