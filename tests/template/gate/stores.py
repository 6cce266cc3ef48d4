"""Rules about what holds data: tables, secrets and their key."""

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


def data_outlives_the_stack(template):
    for name, resource in template.resources.items():
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup", "AWS::S3::Bucket"):
            # What has a name of our own would be in the way of the next attempt after a first deployment that failed.
            kept = "RetainExceptOnCreate" if resource["Type"] == "AWS::Logs::LogGroup" else "Retain"
            if resource.get("DeletionPolicy") != kept or resource.get("UpdateReplacePolicy") != "Retain":
                yield f"{name} goes away with the stack or its replacement"


def secrets_generated(template):
    keys = set(template.of_type("AWS::KMS::Key"))
    for name, secret in template.of_type("AWS::SecretsManager::Secret").items():
        if "SecretString" in secret or secret.get("GenerateSecretString", {}).get("PasswordLength", 0) < 43:
            yield f"{name} is not a generated secret of 256 bits"
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


RULES = [tables_recoverable_and_encrypted, data_outlives_the_stack, secrets_generated, logs_encrypted, keys_rotate]
