"""Rules about queues: nothing is lost, nothing is read by others."""

from .template import as_list, references

TWO_WEEKS = 1209600


def dead_letters_kept_two_weeks(template):
    queues = template.of_type("AWS::SQS::Queue")
    dead_letter_queues = set()
    for name, queue in queues.items():
        redrive = queue.get("RedrivePolicy", {})
        dead_letter_queues |= references(redrive.get("deadLetterTargetArn"))
        if redrive and redrive.get("maxReceiveCount") != 5:
            yield f"{name} does not give up after 5 receives"
    for name, _, _, event in template.events("SQS"):
        for queue in references(event["Queue"]):
            if not queues[queue].get("RedrivePolicy"):
                yield f"{queue}, which {name} consumes, has no dead-letter queue"
    for name in sorted(dead_letter_queues):
        if queues[name].get("MessageRetentionPeriod") != TWO_WEEKS:
            yield f"{name} does not keep its messages for 14 days"


def queues_encrypted(template):
    keys = set(template.of_type("AWS::KMS::Key"))
    for name, queue in template.of_type("AWS::SQS::Queue").items():
        if not references(queue.get("KmsMasterKeyId")) & keys:
            yield f"{name} is not encrypted with the template's key"


def queues_by_tls_only(template):
    refusing = set()
    for policy in template.of_type("AWS::SQS::QueuePolicy").values():
        for statement in as_list(policy["PolicyDocument"]["Statement"]):
            plain = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
            everyone = statement.get("Principal") == "*" and statement.get("Action") == "sqs:*"
            if statement["Effect"] == "Deny" and everyone and str(plain).lower() == "false":
                refusing |= references(statement["Resource"]) & references(policy["Queues"])
    for name in template.of_type("AWS::SQS::Queue"):
        if name not in refusing:
            yield f"{name} can be reached without TLS"


RULES = [dead_letters_kept_two_weeks, queues_encrypted, queues_by_tls_only]
