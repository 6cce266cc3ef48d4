"""Faults for the rules in stores.py: what is broken, and what the finding must name."""

from .plant import properties

FAULTS = {
    "tables_recoverable_and_encrypted": [
        (lambda t: properties(t, "LedgerTable").update(BillingMode="PROVISIONED"), "on demand"),
        (lambda t: properties(t, "LedgerTable").pop("PointInTimeRecoverySpecification"), "point-in-time"),
        (lambda t: properties(t, "LedgerTable")["TimeToLiveSpecification"].update(AttributeName="ttl"), "expiresAt"),
        (lambda t: properties(t, "LedgerTable").pop("SSESpecification"), "not encrypted"),
        (lambda t: properties(t, "LedgerTable").pop("DeletionProtectionEnabled"), "deleted"),
    ],
    "indexes_hold_whole_items": [
        (lambda t: properties(t, "DeliveriesTable")["GlobalSecondaryIndexes"][0].update(Projection={"ProjectionType": "KEYS_ONLY"}), "byId does not hold"),
        (lambda t: properties(t, "ControlTable")["KeySchema"].reverse(), "ControlTable  has other keys"),
    ],
    "expiry_is_what_the_code_writes": [
        (lambda t: properties(t, "LedgerTable")["TimeToLiveSpecification"].update(AttributeName="expireAt"), "LedgerTable expires items by expireAt"),
        (lambda t: (t.project / "shared/src/control/ledger.rs").write_text("SET ttl = :expiry"), "the code writes expiresAt, ttl"),
    ],
    "data_outlives_the_stack": [
        (lambda t: t.resources["EventsDeadLetterQueue"].update(DeletionPolicy="Delete"), "EventsDeadLetterQueue"),
        (lambda t: t.resources["EventsQueue"].pop("UpdateReplacePolicy"), "EventsQueue"),
        (lambda t: t.resources["ControlTable"].pop("DeletionPolicy"), "ControlTable"),
        (lambda t: t.resources["FunctionLogs"].update(DeletionPolicy="Delete"), "FunctionLogs"),
        (lambda t: t.resources["DataKey"].update(UpdateReplacePolicy="Delete"), "DataKey"),
    ],
    "secrets_generated": [
        (lambda t: properties(t, "AdminSecretsSecret").update(GenerateSecretString={"PasswordLength": 43}), "AdminSecretsSecret"),
        (lambda t: properties(t, "TokenKeysSecret")["GenerateSecretString"].update(PasswordLength=16), "TokenKeysSecret"),
        (lambda t: properties(t, "TokenKeysSecret")["GenerateSecretString"].update(SecretStringTemplate='{"active":"k2"}'), "TokenKeysSecret"),
        (lambda t: properties(t, "TokenKeysSecret").pop("KmsKeyId"), "TokenKeysSecret"),
    ],
    "logs_encrypted": [
        (lambda t: properties(t, "FunctionLogs").pop("KmsKeyId"), "FunctionLogs is not encrypted"),
        (lambda t: properties(t, "FunctionLogs").update(LogGroupName="/other"), "FunctionLogs may not use"),
    ],
    "keys_rotate": [(lambda t: properties(t, "DataKey").pop("EnableKeyRotation"), "DataKey")],
}
