"""Rules about queues: nothing is lost, nothing is read by others."""

from .template import as_list, references, text

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


def dead_letters_and_age_alarmed(template):
    alarmed = {(text(dimension["Value"]), alarm["MetricName"])
               for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
               for dimension in alarm.get("Dimensions", []) if dimension["Name"] == "QueueName"}
    for name, queue in template.of_type("AWS::SQS::Queue").items():
        metric = "ApproximateAgeOfOldestMessage" if queue.get("RedrivePolicy") else "ApproximateNumberOfMessagesVisible"
        if (f"${{{name}.QueueName}}", metric) not in alarmed:
            yield f"nobody is told of {name}'s {metric}"


def alarms_reach_somebody(template):
    for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        if "AlarmTopicArn" not in references(alarm.get("AlarmActions")):
            yield f"{name} notifies nobody"


RULES = [dead_letters_kept_two_weeks, queues_encrypted, queues_by_tls_only, dead_letters_and_age_alarmed, alarms_reach_somebody]
