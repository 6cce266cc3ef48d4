"""Faults for the rules in operations.py: what is broken, and what the finding must name."""

from .plant import properties


def metric(template, alarm, number=1):
    return properties(template, alarm)["Metrics"][number]["MetricStat"]["Metric"]


def dashboard(template, old, new):
    """Replaces a text of the dashboard, which must be there."""
    body = properties(template, "Dashboard")["DashboardBody"]
    assert old in body["Fn::Sub"], old
    body["Fn::Sub"] = body["Fn::Sub"].replace(old, new)


FAULTS = {
    "every_function_is_alarmed": [
        (lambda t: properties(t, "PartnerApiErrorsAlarm")["Metrics"].pop(), "MetaFunction's Errors"),
        (lambda t: t.resources.pop("LogPollerErrorsAlarm"), "LogPollerFunction's Throttles"),
    ],
    "nearing_the_time_out_is_alarmed": [
        (lambda t: t.resources.pop("SlowFanoutDurationAlarm"), "SlowFanoutFunction nears"),
        (lambda t: properties(t, "LogPollerFunction").update(Timeout=58), "LogPollerFunction nears"),
        (lambda t: properties(t, "WebhookFanoutDurationAlarm").update(Threshold=30000), "WebhookFanoutFunction nears"),
        (lambda t: properties(t, "ApiLatencyAlarm").update(Threshold=10000), "Api is slow"),
    ],
    "dead_letters_and_age_alarmed": [
        (lambda t: t.resources.pop("DeadLettersAlarm"), "EventsDeadLetterQueue"),
        (lambda t: t.resources.pop("OldestEventAlarm"), "EventsQueue"),
    ],
    "tables_are_alarmed": [
        (lambda t: properties(t, "DynamoThrottlesAlarm")["Metrics"].pop(), "LedgerTable's WriteThrottleEvents"),
        (lambda t: t.resources.pop("DynamoFaultsAlarm"), "ControlTable's SystemErrors"),
        (lambda t: t.resources.pop("DynamoIndexThrottlesAlarm"), "DeliveriesTable's due"),
    ],
    "retries_and_practices_are_alarmed": [
        (lambda t: t.resources.pop("DueRetriesAlarm"), "OldestDueSeconds"),
        (lambda t: t.resources.pop("PracticesFailedAlarm"), "PracticesFailed"),
    ],
    "alarms_reach_somebody": [
        (lambda t: properties(t, "DeadLettersAlarm").pop("AlarmActions"), "DeadLettersAlarm has no AlarmActions"),
        (lambda t: properties(t, "DeadLettersAlarm").pop("OKActions"), "DeadLettersAlarm has no OKActions"),
    ],
    "alarms_say_what_to_do": [
        (lambda t: properties(t, "DeadLettersAlarm").pop("AlarmDescription"), "DeadLettersAlarm points to no section"),
        (lambda t: properties(t, "DeadLettersAlarm").update(AlarmDescription='First look. infra/runbook.md, "Elsewhere".'), "DeadLettersAlarm points to no section"),
        (lambda t: (t.project / "infra/runbook.md").write_text("## Other things\n"), "OldestEventAlarm points to no section"),
        (lambda t: properties(t, "DeadLettersAlarm").update(AlarmDescription='Ouch. infra/runbook.md, "Dead letters".'), "what to do first"),
    ],
    "alarms_can_be_evaluated": [
        (lambda t: properties(t, "DynamoFaultsAlarm")["Metrics"].append(properties(t, "DynamoFaultsAlarm")["Metrics"][1]), "more than 10"),
        (lambda t: properties(t, "DynamoFaultsAlarm")["Metrics"][1].pop("ReturnData"), "watches 2 results"),
        (lambda t: properties(t, "DeadLettersAlarm").pop("TreatMissingData"), "DeadLettersAlarm does not say"),
    ],
    "metrics_exist": [
        (lambda t: metric(t, "PartnerApiErrorsAlarm").update(MetricName="Error"), "no AWS/Lambda Error"),
        (lambda t: metric(t, "PartnerApiErrorsAlarm")["Dimensions"][0].update(Value={"Ref": "AuthRole"}), "no FunctionName ${AuthRole}"),
        (lambda t: metric(t, "DynamoIndexThrottlesAlarm")["Dimensions"][1].update(Value="gsi2"), "GlobalSecondaryIndexName gsi2"),
        (lambda t: metric(t, "DynamoFaultsAlarm")["Dimensions"][1].update(Value="Get"), "Operation Get"),
        (lambda t: properties(t, "DueRetriesAlarm").update(MetricName="OldestDue"), "OldestDue by"),
        (lambda t: dashboard(t, '"Delivered", "Lane", "fast"], ["...", "slow"]', '"Delivered", "Lane", "fast"], ["...", "lazy"]'), "Lane lazy"),
        (lambda t: dashboard(t, 'MetricName=\\"Faults\\"', 'MetricName=\\"Fault\\"'), "Fault by ['Route']"),
        (lambda t: dashboard(t, "SEARCH(", "SERCH("), "SERCH("),
        (lambda t: dashboard(t, '"QueueName", "${EventsQueue.QueueName}"', '"QueueName", "${EventsQueue}"'), "QueueName ${EventsQueue}"),
    ],
    "our_metrics_are_written": [
        (lambda t: (t.project / "shared/src/telemetry/metrics.rs").write_text('("Durations", "Milliseconds")'), "no function writes Duration"),
    ],
    "operators_learn_the_names": [
        (lambda t: t.body["Outputs"].pop("SlowEventsQueueUrl"), "SlowEventsQueue"),
        (lambda t: t.body["Outputs"].pop("CatalogDsnSecretArn"), "CatalogDsnSecret"),
    ],
    "dashboard_shows_all": [
        (lambda t: t.resources.pop("Dashboard"), "no dashboard"),
        (lambda t: dashboard(t, '"widgets": [', '"widgets": [{"type": "custom", "properties": {}},'), "type custom"),
        (lambda t: dashboard(t, '["...", "${KbFunction}"], ', ""), "${KbFunction}'s Throttles"),
        (lambda t: dashboard(t, '"${DeadLettersAlarm.Arn}", ', ""), "${DeadLettersAlarm.Arn}"),
    ],
}
