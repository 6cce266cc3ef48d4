"""Faults for the rules in wiring.py: what is broken, and what the finding must name."""

from .plant import event, properties, variables

FAULTS = {
    "variables_name_what_they_say": [
        (lambda t: variables(t, "AdminFunction").update(LEDGER_TABLE={"Ref": "ControlTable"}), "AdminFunction LEDGER_TABLE"),
        (lambda t: variables(t, "KbFunction").update(CATALOG_DSN_SECRET={"Ref": "TokenKeysSecret"}), "KbFunction CATALOG_DSN_SECRET"),
        (lambda t: variables(t, "MeFunction").update(LD_PRELOAD={"Ref": "LogLevel"}), "MeFunction LD_PRELOAD"),
        (lambda t: variables(t, "MeFunction").pop("TOKEN_ISSUER"), "MeFunction has no TOKEN_ISSUER"),
        (lambda t: t.body["Globals"]["Function"]["Environment"]["Variables"].pop("METRICS_NAMESPACE"), "MetaFunction has no METRICS_NAMESPACE"),
    ],
    "who_sends_knows_the_queue": [
        (lambda t: variables(t, "WebhookFanoutFunction").pop("EVENTS_QUEUE_URL"), "WebhookFanoutFunction may send to EventsQueue"),
    ],
    "optional_settings_are_whole": [
        (lambda t: properties(t, "KbFunction").update(VpcConfig={"SubnetIds": {"Ref": "VpcSubnetIds"}}), "KbFunction is not in the network"),
        (lambda t: properties(t, "MeFunction").update(ReservedConcurrentExecutions=0), "MeFunction reserves"),
    ],
    "every_shard_is_polled": [
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Input='{"shard":0,"of":2}'), "not every shard"),
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Input='{"shard":1,"of":1}'), "not every shard"),
    ],
    "dead_letters_come_to_their_queue": [
        (lambda t: properties(t, "EventsQueue")["RedrivePolicy"].update(deadLetterTargetArn="arn:aws:sqs:us-east-1:1:other"), "EventsQueue gives up"),
    ],
}
