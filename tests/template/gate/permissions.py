"""Permissions: exact actions on the template's own resources, only for the function that needs them."""

from . import rule
from .template import LOG_GROUP, QUEUE, SECRET, TABLE, as_list, nodes, references, text

PRACTICE_SECRETS = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${AWS::StackName}/practices/*"
# (policy, Sid) → what it allows beyond exact actions on the template's resources, with the reason.
# An unused entry is a finding.
JUSTIFIED = {
    ("PracticePolicy", "PracticeSecrets"): {PRACTICE_SECRETS},  # Practices are added and removed without a deployment.
    ("FunctionPolicy", "Traces"): {"*"},  # X-Ray has no resource-level permissions.
    ("NetworkPolicy", "NetworkInterfaces"): {"*"},  # Lambda needs it before an interface has a name; NotByCode denies it to functions.
    ("PortalBucketPolicy", "OurDistribution"): {"${PortalBucket.Arn}/*"},  # The bucket contains only the portal.
    # In a key's policy, * is the key itself. A key that its account can't administer is lost, and
    # AWS services use all variants.
    ("DataKey", "AccountAdministers"): {"*", "kms:*"},
    ("DataKey", "ThroughTheStores"): {"*", "kms:ReEncrypt*", "kms:GenerateDataKey*"},
    ("DataKey", "OwnLogGroups"): {"*", "kms:ReEncrypt*", "kms:GenerateDataKey*"},
}
# What roles may do with stores: items, messages and values. A Scan has no keys that a condition could look at.
STORE_ACTIONS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query", "sqs:SendMessage",
                 "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "secretsmanager:GetSecretValue",
                 "secretsmanager:ListSecretVersionIds"}
OTHER_SERVICES = ("logs:", "xray:", "ec2:", "kms:", "s3:")
# These roles may use every item of the shared tables: administrators, and the portal, which creates
# keys.
WHOLE_TABLES = {"AdminRole", "PortalRole"}
# The kinds of items in the control table, and the usage that partners may read.
KEY_FAMILIES = {"KEY#*", "KEYS#*", "PARTNER#*", "PRACTICE#*", "COUNTER#*", "COUNTS#*", "USAGE#prt_*", "ACTIVE_SUBSCRIPTIONS", "ACTIVE_SUBSCRIPTIONS#*", "PRACTICES", "AUDIT", "DATA_PROBLEMS",
                "POLLERS"}
LAST_USE = {"dynamodb:Attributes": ["pk", "sk", "lastUsedAt"]}
TRUSTS_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
NOT_BY_CODE = {"Sid": "NotByCode", "Effect": "Deny", "Action": "ec2:*", "Resource": "*", "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}}}


def statements(template, effect="Allow"):
    """Yields (logical id, "id Sid", statement) of every policy in the template."""
    for name, resource in template.resources.items():
        properties = resource.get("Properties", {})
        inline = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role"]
        for document in [*inline, *(properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties)]:
            yield from ((name, f"{name} {one.get('Sid')}", one) for one in as_list(document["Statement"]) if one["Effect"] == effect)


def actions(statement):
    return {text(action) for action in as_list(statement.get("Action", []))}


def policies_of(template, function):
    """Returns the logical ids of a function's role and of the role's managed policies."""
    role = next(iter(references(function.get("Role"))), None)
    return {role} | references(template.resources.get(role, {}).get("Properties", {}).get("ManagedPolicyArns", []))


@rule
def every_function_has_a_role_of_its_own(template):
    roles = template.of_type("AWS::IAM::Role")
    for name, function in template.functions().items():
        own = policies_of(template, function)
        # Without a role, SAM creates one with AWS's policies.
        if name.removesuffix("Function") + "Role" not in own & set(roles):
            yield f"{name} has no role of its own with the matching name"
        elif "FunctionPolicy" not in own:
            yield f"{name} can't write its logs"
        if "Policies" in function:
            yield f"{name} has policies beside its role, which SAM ignores"
    for name, role in roles.items():
        if f"{name.removesuffix('Role')}Function" not in template.functions():
            yield f"{name} is not the role of a function"
        if role["AssumeRolePolicyDocument"]["Statement"] != [TRUSTS_LAMBDA]:
            yield f"{name} can be assumed by principals other than Lambda"
        if outside := [text(policy) for policy in role.get("ManagedPolicyArns", []) if not references(policy) & set(template.resources)]:
            yield f"{name} has policies from outside the template: {outside}"


@rule
def no_wildcards(template):
    unused = {(place, value) for place, values in JUSTIFIED.items() for value in values}
    for name, place, statement in statements(template):
        resources = {text(one): references(one) & set(template.resources) for one in as_list(statement.get("Resource", []))}
        if {"NotAction", "NotResource", "NotPrincipal"} & set(statement):
            yield f"{place} allows everything except what it names"
        if needless := {one for one in actions(statement) - STORE_ACTIONS if not one.startswith(OTHER_SERVICES)}:
            yield f"{place} allows {sorted(needless)}, which no function needs"
        if any("/index/" in one for one in resources) and actions(statement) != {"dynamodb:Query"}:
            yield f"{place} allows more than Query on an index"
        wide = {one for one in actions(statement) if "*" in one} | {one for one, own in resources.items() if "*" in one or not own}
        unused -= {((name, statement.get("Sid")), value) for value in wide}
        for value in sorted(wide - JUSTIFIED.get((name, statement.get("Sid")), set())):
            yield f"{place} allows {value}"
    for place, value in sorted(unused):
        yield f"the exception for {' '.join(place)} {value} is unused"


@rule
def resource_policies_admit_no_strangers(template):
    arn = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"
    # Principals allowed in resource policies → the conditions that restrict them to us.
    principals = {
        "arn:${AWS::Partition}:iam::${AWS::AccountId}:root": set(),
        "cloudfront.amazonaws.com":
            {"StringEquals AWS:SourceArn arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${PortalDistribution}"},
        "logs.${AWS::Region}.amazonaws.com": {f"ArnEquals kms:EncryptionContext:aws:logs:arn {arn}{text(group.get('LogGroupName'))}"
                                              for group in template.of_type(LOG_GROUP).values()},
        # Whoever in the account may use a store may use its key through that store.
        "*": {"StringEquals kms:CallerAccount ${AWS::AccountId}"} | {
            f"StringEquals kms:ViaService {store}.${{AWS::Region}}.amazonaws.com" for store in ("dynamodb", "sqs", "secretsmanager")},
    }
    for _, place, statement in statements(template):
        principal, condition = statement.get("Principal", {}), statement.get("Condition", {})
        conditions = {f"{operator} {key} {text(one)}" for operator, tested in condition.items() for key, values in tested.items() for one in as_list(values)}
        for who in [text(one) for named in principal.values() for one in as_list(named)] if isinstance(principal, dict) else [principal]:
            if conditions != principals.get(who):
                yield f"{place} admits {who} under {sorted(conditions)}"


@rule
def roles_allow_what_the_environment_names(template):
    """A role allows the stores that its function's variables and queue events name, and no others."""
    stores = set(template.of_type(TABLE, QUEUE, SECRET))
    for name, function in template.functions().items():
        own = [one for holder, _, one in statements(template) if holder in policies_of(template, function)]
        may = references([one.get("Resource") for one in own]) & stores
        sends = references([one.get("Resource") for one in own if "sqs:SendMessage" in actions(one)])
        variables = references(template.variables(name)) & stores
        consumed = references([event.get("Queue") for consumer, _, event in template.events("SQS") if consumer == name])
        for store in sorted(may ^ (variables | consumed)):
            yield f"{name} may use {store} but has no variable for it" if store in may else f"{name} has a variable for {store} but may not use it"
        for queue in sorted(sends - variables):
            yield f"{name} may send to {queue} but has no variable with its URL"


@rule
def token_keys_are_for_callers(template):
    """A function that can read the keys can create tokens. Functions that do not verify tokens may only read the keys' age."""
    for holder, place, statement in statements(template):
        if "TokenKeysSecret" in references(statement.get("Resource")) and holder != "CallerPolicy":
            if actions(statement) != {"secretsmanager:ListSecretVersionIds"}:
                yield f"{place} can read the keys that sign tokens"


@rule
def shared_tables_by_key_only(template):
    """Partners, keys, practices and subscriptions share tables. A role that needs one kind of item may not access others."""
    for name, place, statement in statements(template):
        tables, condition = references(statement.get("Resource")), statement.get("Condition", {})
        tested = condition.get("ForAllValues:StringLike") or condition.get("ForAllValues:StringEquals") or {}
        keys = set(as_list(tested.get("dynamodb:LeadingKeys", "*")))
        if "ControlTable" in tables and "dynamodb:DeleteItem" in actions(statement) and keys != {"PRACTICE#*"}:
            yield f"{place} can delete records of the audit log"
        if name in WHOLE_TABLES or not ("ControlTable" in tables or ("ActivityTable" in tables and "dynamodb:Query" in actions(statement))):
            continue
        if not keys <= KEY_FAMILIES:
            yield f"{place} reaches {sorted(keys - KEY_FAMILIES)}"
        if "KEY#*" in keys and actions(statement) != {"dynamodb:GetItem"} and condition.get("ForAllValues:StringEquals") != LAST_USE:
            yield f"{place} changes more of an API key than its last use"


@rule
def only_functions_with_databases_are_in_the_network(template):
    """Lambda needs the network's permissions, but a function's own code must not use them."""
    for name, function in template.functions().items():
        policies = policies_of(template, function)
        opens = bool(policies & {"PracticePolicy", "CatalogPolicy"})
        if opens != ("VpcConfig" in function) or opens != ("NetworkPolicy" in policies):
            yield f"{name} {'needs' if opens else 'opens no database and has'} VpcConfig or NetworkPolicy"
    denied = [name for name, _, statement in statements(template, "Deny") if statement == NOT_BY_CODE]
    for name, _, statement in statements(template):
        if name not in denied and any(action.startswith("ec2:") for action in actions(statement)):
            yield f"{name} lets a function's code change network interfaces"


@rule
def policies_are_of_the_current_language(template):
    """A policy without a version is evaluated by the rules of 2008, which support fewer variables."""
    for name, resource in template.resources.items():
        if any("Statement" in node and node.get("Version") != "2012-10-17" for node in nodes(resource) if isinstance(node, dict)):
            yield f"{name} has a policy with a version other than 2012-10-17"
