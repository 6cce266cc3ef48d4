"""Faults for the rules in limits.py: what is broken, and what the finding must name."""

from .plant import event, properties

FAULTS = {
    "functions_have_what_they_need": [
        (lambda t: properties(t, "WebhooksFunction").pop("Timeout"), "WebhooksFunction is cut off after 10 s"),
        (lambda t: t.body["Globals"]["Function"].pop("Timeout"), "MetaFunction is cut off after 3 s"),
        (lambda t: t.body["Globals"]["Function"].update(MemorySize=128), "MetaFunction has 128 MB"),
    ],
    "batches_are_small": [
        (lambda t: event(t, "WebhookFanoutFunction", "Events").update(BatchSize=10000), "a batch of 10000"),
        (lambda t: event(t, "WebhookFanoutFunction", "Events").update(ScalingConfig={"MaximumConcurrency": 1000}), "no parameter"),
        (lambda t: t.body["Parameters"]["FanoutMaximumConcurrency"].update(Default=5000), "no parameter"),
    ],
    "messages_are_kept_and_come_back": [
        (lambda t: properties(t, "EventsQueue").update(MessageRetentionPeriod=60), "EventsQueue keeps its messages for 60 s"),
        (lambda t: properties(t, "EventsQueue").update(MessageRetentionPeriod=1209600), "dead letters would go at once"),
        (lambda t: properties(t, "EventsQueue").update(VisibilityTimeout=43200), "for too long"),
    ],
    "logs_go_in_time": [
        (lambda t: properties(t, "FunctionLogs").update(RetentionInDays=3653), "FunctionLogs may keep"),
        (lambda t: properties(t, "FunctionLogs").pop("RetentionInDays"), "FunctionLogs may keep"),
        (lambda t: t.body["Parameters"]["LogRetentionDays"]["AllowedValues"].append(3653), "ApiAccessLogs may keep"),
        (lambda t: t.body["Parameters"]["LogRetentionDays"].pop("AllowedValues"), "ApiAccessLogs may keep"),
        (lambda t: t.body["Parameters"]["LogRetentionDays"].update(Default=1), "ApiAccessLogs may keep"),
    ],
    "throttling_is_sensible": [
        (lambda t: properties(t, "Api")["DefaultRouteSettings"].update(ThrottlingRateLimit=1000000), "Api ThrottlingRateLimit"),
        (lambda t: t.body["Parameters"]["ApiRateLimit"].update(Default=1000000), "Api ThrottlingRateLimit"),
        (lambda t: t.body["Parameters"]["ApiBurstLimit"].pop("MinValue"), "Api ThrottlingBurstLimit"),
    ],
    "schedules_are_frequent": [
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Schedule="rate(1 day)"), "each minute"),
        (lambda t: properties(t, "LogPollerFunction")["EventInvokeConfig"].pop("MaximumEventAgeInSeconds"), "each minute"),
    ],
}
