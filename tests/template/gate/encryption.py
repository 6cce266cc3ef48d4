"""Encryption and retention of data. checkov finds what is not encrypted or not recoverable; these rules check the key and the retention."""

import re

from . import rule
from .template import LOG_GROUP, QUEUE, SECRET, TABLE, references

# Where each type specifies its encryption key.
KEYS = {
    TABLE: lambda table: table.get("SSESpecification", {}).get("KMSMasterKeyId"), QUEUE: lambda queue: queue.get("KmsMasterKeyId"),
    SECRET: lambda secret: secret.get("KmsKeyId"), LOG_GROUP: lambda group: group.get("KmsKeyId"),
}


@rule
def encrypted_with_the_templates_key(template):
    """We can't revoke or audit AWS's own keys."""
    for resource_type, key_of in KEYS.items():
        for name, properties in template.of_type(resource_type).items():
            if not references(key_of(properties)) & set(template.of_type("AWS::KMS::Key")):
                yield f"{name} is not encrypted with the template's key"


@rule
def tls_only(template):
    """Queues and buckets reject plain HTTP from every caller and for every action."""
    refusing = set()
    for policy in template.of_type("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            all_calls = statement.get("Principal") == "*" and statement.get("Action") in ("sqs:*", "s3:*")
            if statement["Effect"] == "Deny" and all_calls and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}:
                refusing |= references(statement["Resource"]) & references([policy.get("Queues"), policy.get("Bucket")])
    for name in set(template.of_type(QUEUE, "AWS::S3::Bucket")) - refusing:
        yield f"{name} accepts plain HTTP"


@rule
def data_outlives_the_stack(template):
    for name, resource in template.resources.items():
        if resource["Type"] not in (TABLE, QUEUE, SECRET, LOG_GROUP, "AWS::KMS::Key", "AWS::S3::Bucket"):
            continue
        # Log groups have fixed names, which a failed first deployment must free. A queue with a
        # dead-letter queue can be deleted, because its messages are recreated from deliveries.
        refilled = resource["Type"] == QUEUE and "RedrivePolicy" in resource["Properties"]
        kept = "RetainExceptOnCreate" if resource["Type"] == LOG_GROUP else "Delete" if refilled else "Retain"
        if (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")) != (kept, "Retain"):
            yield f"{name} is deleted with the stack or when it is replaced"
    for name, table in template.of_type(TABLE).items():
        if table.get("DeletionProtectionEnabled") is not True:
            yield f"{name} can be deleted by mistake"


@rule
def items_expire_as_the_code_says(template):
    """With a different attribute in the template, personal data would never expire."""
    code = "".join(path.read_text() for path in sorted((template.project / "shared/src/control").glob("*.rs")))
    written = set(re.findall(r"SET (\w+) = :expiry", code)) | set(re.findall(r'insert\("(\w+)"\.to_owned\(\), AttributeValue::N\(expiry', code))
    for name, table in template.of_type(TABLE).items():
        expiry = table.get("TimeToLiveSpecification", {})
        if {expiry.get("AttributeName")} != written or expiry.get("Enabled") is not True:
            yield f"{name} expires items by {expiry}, but the code writes {sorted(written)}"
