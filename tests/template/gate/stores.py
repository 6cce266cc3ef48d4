"""Rules about what holds data: tables, secrets and their key."""

import re

from .template import as_list, references, text


def tables_recoverable_and_encrypted(template):
    keys = set(template.of_type("AWS::KMS::Key"))
    for name, table in template.of_type("AWS::DynamoDB::Table").items():
        if table.get("BillingMode") != "PAY_PER_REQUEST":
            yield f"{name} is not on demand"
        if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name} has no point-in-time recovery"
        if table.get("TimeToLiveSpecification") != {"AttributeName": "expiresAt", "Enabled": True}:
            yield f"{name} does not expire items by expiresAt"
        encryption = table.get("SSESpecification", {})
        if not encryption.get("SSEEnabled") or not references(encryption.get("KMSMasterKeyId")) & keys:
            yield f"{name} is not encrypted with the template's key"
        if not table.get("DeletionProtectionEnabled"):
            yield f"{name} can be deleted by mistake"


def indexes_hold_whole_items(template):
    """Lists are read from indexes alone; what an index leaves out, they would not show."""
    for name, table in template.of_type("AWS::DynamoDB::Table").items():
        for index in [table, *table.get("GlobalSecondaryIndexes", [])]:
            if [one.get("KeyType") for one in index.get("KeySchema", [])] not in (["HASH"], ["HASH", "RANGE"]):
                yield f"{name} {index.get('IndexName', '')} has other keys than one to find by and one to order by"
            if index is not table and index.get("Projection") != {"ProjectionType": "ALL"}:
                yield f"{name} {index['IndexName']} does not hold whole items"


def expiry_is_what_the_code_writes(template):
    """A time to live under another name than the code's would keep everything for ever."""
    code = "".join(path.read_text() for path in sorted((template.project / "shared/src/control").glob("*.rs")))
    written = set(re.findall(r"SET (\w+) = :expiry", code)) | set(re.findall(r'insert\("(\w+)"\.to_owned\(\), AttributeValue::N\(expiry', code))
    for name, table in template.of_type("AWS::DynamoDB::Table").items():
        attribute = table.get("TimeToLiveSpecification", {}).get("AttributeName")
        if written != {attribute}:
            yield f"{name} expires items by {attribute}, the code writes {', '.join(sorted(written))}"


def data_outlives_the_stack(template):
    for name, resource in template.resources.items():
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup", "AWS::S3::Bucket"):
            # What has a name of our own would be in the way of the next attempt after a first deployment that failed.
            kept = "RetainExceptOnCreate" if resource["Type"] == "AWS::Logs::LogGroup" else "Retain"
            if resource.get("DeletionPolicy") != kept or resource.get("UpdateReplacePolicy") != "Retain":
                yield f"{name} goes away with the stack or its replacement"
        # A queue's messages are made good from the deliveries' table; what was given up is not.
        dead_letters = resource["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" not in resource.get("Properties", {})
        if resource["Type"] == "AWS::SQS::Queue" and (resource.get("UpdateReplacePolicy"), resource.get("DeletionPolicy")) != (
                "Retain", "Retain" if dead_letters else "Delete"):
            yield f"{name} goes away with its replacement or its dead letters with the stack"


# How each secret begins: the text around it and the place in it.
BEGINNINGS = {
    "TokenKeysSecret": ('{"active":"k1"}', "k1", 64), "AdminSecretsSecret": ("{}", "current", 43), "EdgeSecret": ("{}", "current", 43),
    "CatalogDsnSecret": (None, None, 43),
}


def secrets_generated(template):
    keys = set(template.of_type("AWS::KMS::Key"))
    for name, secret in template.of_type("AWS::SecretsManager::Secret").items():
        around, place, length = BEGINNINGS.get(name, (None, None, 43))
        wanted = {"SecretStringTemplate": around, "GenerateStringKey": place, "PasswordLength": length, "ExcludePunctuation": True}
        if secret.get("GenerateSecretString") != {key: value for key, value in wanted.items() if value is not None}:
            yield f"{name} is not a generated secret of 256 bits in the form that the code reads"
        if not references(secret.get("KmsKeyId")) & keys:
            yield f"{name} is not encrypted with the template's key"


def logs_encrypted(template):
    keys = set(template.of_type("AWS::KMS::Key"))
    allowed = {text(arn).partition(":log-group:")[2]
               for key in template.of_type("AWS::KMS::Key").values() for statement in key["KeyPolicy"]["Statement"]
               for arn in as_list(statement.get("Condition", {}).get("ArnEquals", {}).get("kms:EncryptionContext:aws:logs:arn", []))}
    for name, group in template.of_type("AWS::Logs::LogGroup").items():
        if not references(group.get("KmsKeyId")) & keys:
            yield f"{name} is not encrypted with the template's key"
        elif text(group.get("LogGroupName")) not in allowed:
            yield f"{name} may not use its key"


def keys_rotate(template):
    for name, key in template.of_type("AWS::KMS::Key").items():
        if not key.get("EnableKeyRotation"):
            yield f"{name} is never rotated"


RULES = [
    tables_recoverable_and_encrypted, indexes_hold_whole_items, expiry_is_what_the_code_writes, data_outlives_the_stack,
    secrets_generated, logs_encrypted, keys_rotate,
]
