"""Faults for the rules in functions.py: what is broken, and what the finding must name."""

import shutil

from .plant import event, properties

FAULTS = {
    "one_name_everywhere": [
        (lambda t: properties(t, "TagsFunction").update(CodeUri="functions/labels"), "LabelsFunction"),
        (lambda t: t.resources["LogPollerFunction"].pop("Metadata"), "log-poller"),
    ],
    "every_function_has_its_folder": [
        (lambda t: shutil.rmtree(t.project / "functions/auth"), "functions/auth is in the template only"),
        (lambda t: shutil.copytree(t.project / "functions/auth", t.project / "functions/stray"), "functions/stray is no function"),
        (lambda t: (t.project / "functions/auth/Cargo.toml").write_text('[package]\nname = "you"\n'), "package you"),
    ],
    "every_function_is_invoked": [
        (lambda t: properties(t, "LogPollerFunction").pop("Events"), "LogPollerFunction"),
        (lambda t: properties(t, "MigrateFunction").update(Events=properties(t, "LogPollerFunction")["Events"]), "MigrateFunction is not left"),
    ],
    "one_architecture": [(lambda t: properties(t, "MeFunction").update(Runtime="provided.al2"), "MeFunction")],
    "traced": [(lambda t: properties(t, "MeFunction").update(Tracing="PassThrough"), "MeFunction")],
    "logs_to_one_group": [
        (lambda t: properties(t, "MeFunction").update(LoggingConfig={"LogGroup": "elsewhere"}), "MeFunction does not log to"),
        (lambda t: properties(t, "MeFunction").update(LoggingConfig={"LogFormat": "Text"}), "MeFunction does not log all"),
        (lambda t: t.body["Globals"]["Function"]["LoggingConfig"].update(ApplicationLogLevel="FATAL"), "MeFunction does not log all"),
    ],
    "api_answers_before_the_gateway_gives_up": [(lambda t: properties(t, "MeFunction").update(Timeout=30), "MeFunction")],
    "batch_failures_reported": [
        (lambda t: event(t, "WebhookFanoutFunction", "Events").pop("FunctionResponseTypes"), "one failure"),
        (lambda t: event(t, "WebhookFanoutFunction", "Events").pop("ScalingConfig"), "nothing bounds"),
    ],
    "concurrency_can_be_bounded": [
        (lambda t: properties(t, "MeFunction").pop("ReservedConcurrentExecutions"), "MeFunction"),
        (lambda t: properties(t, "LogPollerFunction").pop("ReservedConcurrentExecutions"), "LogPollerFunction"),
    ],
    "visibility_outlasts_the_consumer": [
        (lambda t: properties(t, "EventsQueue").update(VisibilityTimeout=359), "359 s"),
        (lambda t: properties(t, "EventsQueue").pop("VisibilityTimeout"), "30 s"),
        (lambda t: properties(t, "WebhookFanoutFunction").update(Timeout=61), "6 × 61 s"),
    ],
    "schedules_do_not_overlap": [
        (lambda t: properties(t, "LogPollerFunction").update(Timeout=61), "outlast"),
        (lambda t: properties(t, "LogPollerFunction").pop("EventInvokeConfig"), "retried"),
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Input="{shard:0}"), "not JSON"),
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Schedule="cron(* * * * ? *)"), "no rate"),
    ],
}
