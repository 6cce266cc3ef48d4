"""Rules about figures: each has the bounds within which it does what it is for, whoever changes it."""

from .template import as_list, references

# Seconds that a function needs at least, where that is more than USUAL, and why.
NEEDED = {
    "WebhooksFunction": (20, "a test waits 15 s for the partner"), "AdminFunction": (20, "a retry waits 15 s for the partner"),
    "WebhookFanoutFunction": (30, "a batch has ten deliveries"), "SlowFanoutFunction": (50, "ten deliveries, four at once, take 45 s"),
    "LogPollerFunction": (60, "it polls for its whole minute"), "MigrateFunction": (900, "ten minutes are the limit of one database"),
}
# A store is waited for 3 s and a database for 1.4 s.
USUAL = 8
# Below this share of a processor, TLS handshakes dominate a cold start.
MEMORY = 512
# Longer than this no log is kept: it has who called what.
LONGEST_LOGS = 731
# A new account's limit of the HTTP API, calls a second.
ACCOUNT_RATE = 10_000
DAY = 86_400


def functions_have_what_they_need(template):
    for name, function in template.functions().items():
        seconds, why = NEEDED.get(name, (USUAL, "a store and a database may be waited for"))
        if function.get("Timeout", 3) < seconds:
            yield f"{name} is cut off after {function.get('Timeout', 3)} s: {why}"
        if not MEMORY <= function.get("MemorySize", 128) <= 4 * MEMORY:
            yield f"{name} has {function.get('MemorySize', 128)} MB"


def batches_are_small(template):
    for name, _, event_name, event in template.events("SQS"):
        if event.get("BatchSize") != 10:
            yield f"{name} {event_name}: a batch of {event.get('BatchSize')} does not fit its time-out"
        most = references(event.get("ScalingConfig"))
        if not most or not all(within(template, parameter, 2, 1000) for parameter in most):
            yield f"{name} {event_name}: its concurrency is no parameter between 2 and 1000"


def within(template, parameter, least, most):
    """Whether a parameter is a number, bounded from below, whose default is reasonable."""
    own = template.body["Parameters"].get(parameter, {})
    return own.get("Type") == "Number" and own.get("MinValue", -1) >= min(least, 1) and least <= own.get("Default", -1) <= most


def messages_are_kept_and_come_back(template):
    """A message lives through four days of trouble, and comes back within minutes when a process died with it."""
    queues = template.of_type("AWS::SQS::Queue")
    for name, queue in queues.items():
        if queue.get("RedrivePolicy") and not 4 * DAY <= queue.get("MessageRetentionPeriod", 4 * DAY) < 14 * DAY:
            yield f"{name} keeps its messages for {queue['MessageRetentionPeriod']} s; its dead letters would go at once, or it forgets"
    for name, function, event_name, event in template.events("SQS"):
        for queue in references(event["Queue"]) & set(queues):
            if queues[queue].get("VisibilityTimeout", 30) > 12 * function["Timeout"]:
                yield f"{name} {event_name}: {queue} hides a message of a process that died for too long"


def logs_go_in_time(template):
    for name, group in template.of_type("AWS::Logs::LogGroup").items():
        days = group.get("RetentionInDays")
        parameter = template.body["Parameters"].get(days.get("Ref"), {}) if isinstance(days, dict) else {}
        allowed = as_list(parameter.get("AllowedValues", 0)) if parameter else as_list(days)
        if not all(isinstance(one, int) and 7 <= one <= LONGEST_LOGS for one in allowed) or parameter.get("Default", allowed[0]) not in allowed:
            yield f"{name} may keep its logs for another time than 7 to {LONGEST_LOGS} days"


def throttling_is_sensible(template):
    for name, api in template.of_type("AWS::Serverless::HttpApi").items():
        for setting, own in api.get("DefaultRouteSettings", {}).items():
            parameters = references(own)
            if len(parameters) != 1 or not all(within(template, one, 10, ACCOUNT_RATE) for one in parameters):
                yield f"{name} {setting} is no parameter between 10 and {ACCOUNT_RATE}"


def schedules_are_frequent(template):
    """New events are asked for every minute; a run that could not start is the next minute's."""
    for name, function, event_name, event in template.events("Schedule"):
        if event.get("Schedule") != "rate(1 minute)" or function.get("EventInvokeConfig", {}).get("MaximumEventAgeInSeconds") != 60:
            yield f"{name} {event_name} does not run anew each minute"


RULES = [
    functions_have_what_they_need, batches_are_small, messages_are_kept_and_come_back, logs_go_in_time, throttling_is_sensible,
    schedules_are_frequent,
]
