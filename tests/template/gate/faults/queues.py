"""Faults for the rules in queues.py: what is broken, and what the finding must name."""

from .plant import properties, statement

FAULTS = {
    "dead_letters_kept_two_weeks": [
        (lambda t: properties(t, "EventsDeadLetterQueue").pop("MessageRetentionPeriod"), "EventsDeadLetterQueue"),
        (lambda t: properties(t, "EventsQueue").pop("RedrivePolicy"), "EventsQueue"),
        (lambda t: properties(t, "EventsQueue")["RedrivePolicy"].update(maxReceiveCount=1), "5 receives"),
    ],
    "queues_encrypted": [(lambda t: properties(t, "EventsDeadLetterQueue").pop("KmsMasterKeyId"), "EventsDeadLetterQueue")],
    "queues_by_tls_only": [
        (lambda t: properties(t, "QueuesByTlsOnly")["Queues"].pop(), "EventsDeadLetterQueue"),
        (lambda t: statement(t, "QueuesByTlsOnly", "RefusePlainHttp").update(Action="sqs:SendMessage"), "EventsQueue"),
    ],
}
