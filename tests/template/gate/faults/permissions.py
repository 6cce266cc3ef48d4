"""Faults for the rules in permissions.py: what is broken, and what the finding must name."""

from .plant import properties, statement, variables


def trust(template, role):
    return properties(template, role)["AssumeRolePolicyDocument"]["Statement"][0]


FAULTS = {
    "a_role_for_each_function": [
        (lambda t: properties(t, "MeFunction").pop("Role"), "MeFunction has no role"),
        (lambda t: properties(t, "SlowFanoutFunction").update(Role={"Fn::GetAtt": ["WebhookFanoutRole", "Arn"]}), "shares WebhookFanoutRole"),
        (lambda t: properties(t, "SlowFanoutFunction").update(Role={"Fn::GetAtt": ["WebhookFanoutRole", "Arn"]}), "SlowFanoutRole is nobody's"),
        (lambda t: properties(t, "MeFunction").update(Policies=[{"Ref": "CallerPolicy"}]), "MeFunction has policies beside"),
        (lambda t: trust(t, "MeRole").update(Principal={"AWS": "*"}), "MeRole may be taken"),
    ],
    "every_policy_is_used": [
        (lambda t: t.resources.update(StrayPolicy={"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": {"Statement": []}}}), "StrayPolicy"),
    ],
    "logs_to_our_group_only": [
        (lambda t: statement(t, "FunctionPolicy", "Logs").update(Resource="arn:aws:logs:us-east-1:1:log-group:others"), "FunctionPolicy Logs"),
        (lambda t: properties(t, "MeRole")["ManagedPolicyArns"].pop(0), "MeFunction can't write its logs"),
    ],
    "the_network_is_not_for_code": [
        (lambda t: statement(t, "NetworkPolicy", "NotByCode").update(Action="ec2:RunInstances"), "NetworkPolicy"),
        (lambda t: statement(t, "NetworkPolicy", "NotByCode").pop("Condition"), "NetworkPolicy"),
    ],
    "no_wildcards": [
        (lambda t: statement(t, "WebhooksRole", "Deliveries").update(Action="dynamodb:*"), "dynamodb:*"),
        (lambda t: statement(t, "CallerPolicy", "TokenKeys").update(Resource="*"), "CallerPolicy TokenKeys allows *"),
        (lambda t: statement(t, "WebhooksRole", "DeliveriesByIndex").update(Resource={"Fn::Sub": "${DeliveriesTable.Arn}/index/*"}), "index/*"),
        (lambda t: statement(t, "FunctionPolicy", "Logs").update(NotAction="iam:*"), "FunctionPolicy Logs"),
        (lambda t: statement(t, "FunctionPolicy", "Traces").update(Sid="Other"), "not used any more"),
    ],
    "everyone_only_under_conditions": [
        (lambda t: statement(t, "DataKey", "ThroughTheStores").pop("Condition"), "DataKey ThroughTheStores"),
    ],
    "indexes_exist": [
        (lambda t: properties(t, "ControlTable").pop("GlobalSecondaryIndexes"), "gsi1"),
        (lambda t: statement(t, "LogPollerRole", "DueRetries").update(Action=["dynamodb:Query", "dynamodb:Scan"]), "more than Query"),
    ],
    "allowed_is_what_the_environment_names": [
        (lambda t: variables(t, "LogPollerFunction").pop("EVENTS_QUEUE_URL"), "LogPollerFunction may use EventsQueue"),
        (lambda t: variables(t, "MetaFunction").update(LEDGER_TABLE={"Ref": "LedgerTable"}), "MetaFunction is told of LedgerTable"),
        (lambda t: properties(t, "ProspectsRole")["ManagedPolicyArns"].remove({"Ref": "CallerPolicy"}), "ProspectsFunction is told of ControlTable"),
        (lambda t: variables(t, "WebhookFanoutFunction").pop("CONTROL_TABLE"), "WebhookFanoutFunction may use ControlTable"),
    ],
    "writes_to_control_by_key": [
        (lambda t: statement(t, "LogPollerRole", "DispatchStates").pop("Condition"), "LogPollerRole DispatchStates"),
        (lambda t: statement(t, "DeliverPolicy", "Subscriptions")["Condition"]["ForAllValues:StringLike"].update({"dynamodb:LeadingKeys": ["*"]}), "DeliverPolicy Subscriptions"),
    ],
    "databases_in_the_vpc": [
        (lambda t: properties(t, "KbRole")["ManagedPolicyArns"].pop(1), "KbRole lacks NetworkPolicy"),
        (lambda t: properties(t, "MeRole")["ManagedPolicyArns"].append({"Ref": "NetworkPolicy"}), "MeRole needs no NetworkPolicy"),
        (lambda t: properties(t, "KbFunction").pop("VpcConfig"), "KbFunction cannot reach"),
        (lambda t: properties(t, "VisitsFunction").pop("VpcConfig"), "VisitsFunction cannot reach"),
        (lambda t: properties(t, "WebhookFanoutFunction").update(VpcConfig={}), "WebhookFanoutFunction is in the network"),
    ],
    "policies_are_of_the_newest_language": [
        (lambda t: properties(t, "CallerPolicy")["PolicyDocument"].pop("Version"), "CallerPolicy"),
        (lambda t: properties(t, "MeRole")["AssumeRolePolicyDocument"].update(Version="2008-10-17"), "MeRole"),
    ],
    "no_policies_of_aws": [
        (lambda t: properties(t, "MeRole")["ManagedPolicyArns"].append("arn:aws:iam::aws:policy/AdministratorAccess"), "AdministratorAccess"),
        # Without a role of its own, SAM lets a function write every log group and a consumer read every queue.
        (lambda t: properties(t, "MeFunction").pop("Role"), "AWSLambdaBasicExecutionRole"),
        (lambda t: properties(t, "WebhookFanoutFunction").pop("Role"), "AWSLambdaSQSQueueExecutionRole"),
    ],
}
