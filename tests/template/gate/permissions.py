"""Permissions: exact actions on the template's own resources, for the one function that needs them."""

from . import rule
from .template import QUEUE, SECRET, TABLE, as_list, nodes, references, text

# (resource, Sid, what is wider than one action on one resource of the template) → why. An unused entry is a finding.
JUSTIFIED = {
    ("PracticePolicy", "PracticeSecrets", "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${AWS::StackName}/practices/*"):
        "practices come and go without a deployment",
    ("FunctionPolicy", "Traces", "*"): "X-Ray has no resources",
    ("NetworkPolicy", "NetworkInterfaces", "*"): "Lambda asks before an interface has a name; NotByCode denies it to the functions' own code",
    ("PortalBucketPolicy", "OurDistribution", "${PortalBucket.Arn}/*"): "the bucket holds nothing but the portal",
    ("DataKey", "AccountAdministers", "kms:*"): "a key that its account can't administer is lost",
    **{("DataKey", sid, "*"): "in a key's policy * is the key itself" for sid in ("AccountAdministers", "ThroughTheStores", "OwnLogGroups")},
    **{("DataKey", sid, action): "AWS's services ask for both variants" for sid in ("ThroughTheStores", "OwnLogGroups")
       for action in ("kms:ReEncrypt*", "kms:GenerateDataKey*")},
}
ACCOUNT = "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"
# Who may appear in the policies of resources → the condition keys that narrow it down to us.
PRINCIPALS = {
    ACCOUNT: set(), "*": {"kms:CallerAccount", "kms:ViaService"},
    "cloudfront.amazonaws.com": {"AWS:SourceArn"}, "logs.${AWS::Region}.amazonaws.com": {"kms:EncryptionContext:aws:logs:arn"},
}
# These roles may use every item of the shared tables: administrators, and the portal, which mints keys.
WHOLE_TABLES = {"AdminRole", "PortalRole"}
# The kinds of items in the control table, and the usage that partners may read.
KEY_FAMILIES = {"KEY#*", "PARTNER#*", "PRACTICE#*", "COUNTER#*", "COUNTS#*", "ANSWER#*", "USAGE#prt_*", "ACTIVE_SUBSCRIPTIONS"}
LAST_USE = {"dynamodb:Attributes": ["pk", "sk", "lastUsedAt"]}
TRUSTS_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
NOT_BY_CODE = {"Effect": "Deny", "Action": "ec2:*", "Resource": "*", "Condition": {"Null": {"lambda:SourceFunctionArn": "false"}}}
DATABASE_POLICIES = {"PracticePolicy", "CatalogPolicy"}


def statements(template):
    """(logical id, statement) of every policy in the template."""
    for name, resource in template.resources.items():
        properties = resource.get("Properties", {})
        inline = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role"]
        for document in [*inline, *(properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties)]:
            for statement in as_list(document["Statement"]):
                yield name, statement


def allowed(template):
    return ((name, statement) for name, statement in statements(template) if statement["Effect"] == "Allow")


def actions(statement):
    return {text(action) for action in as_list(statement.get("Action", []))}


def role_of(function):
    return next(iter(references(function.get("Role"))), None)


def policies_of(template, role):
    """Logical ids of a role's managed policies."""
    return references(template.resources.get(role, {}).get("Properties", {}).get("ManagedPolicyArns", []))


@rule
def every_function_has_a_role_of_its_own(template):
    roles = template.of_type("AWS::IAM::Role")
    for name, function in template.functions().items():
        role = role_of(function)
        if role != name.removesuffix("Function") + "Role" or role not in roles:
            yield f"{name} has no role of its own name: SAM would make one with AWS's policies, or it has another function's permissions"
        elif "FunctionPolicy" not in policies_of(template, role):
            yield f"{name} can't write its logs"
        if "Policies" in function:
            yield f"{name} has policies beside its role, which SAM ignores"
    for name, role in roles.items():
        if f"{name.removesuffix('Role')}Function" not in template.functions():
            yield f"{name} is no function's role"
        if role["AssumeRolePolicyDocument"]["Statement"] != [TRUSTS_LAMBDA]:
            yield f"{name} can be assumed by others than Lambda"
        if outside := [text(policy) for policy in role.get("ManagedPolicyArns", []) if not references(policy) & set(template.resources)]:
            yield f"{name} has policies that are not the template's: {outside}"


@rule
def no_wildcards(template):
    unused = set(JUSTIFIED)
    own = set(template.resources)
    for name, statement in allowed(template):
        place = f"{name} {statement.get('Sid')}"
        if {"NotAction", "NotResource", "NotPrincipal"} & set(statement):
            yield f"{place} allows everything except what it names"
        if {"dynamodb:Scan", "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"} & actions(statement):
            yield f"{place} allows a call without keys, which conditions on keys let pass"
        if any("/index/" in text(one) for one in as_list(statement.get("Resource", []))) and actions(statement) != {"dynamodb:Query"}:
            yield f"{place} allows more than Query on an index"
        wide = {action for action in actions(statement) if "*" in action}
        wide |= {text(one) for one in as_list(statement.get("Resource", [])) if "*" in text(one) or not references(one) & own}
        for value in sorted(wide):
            unused.discard((name, statement.get("Sid"), value))
            if (name, statement.get("Sid"), value) not in JUSTIFIED:
                yield f"{place} allows {value}"
    for name, sid, value in sorted(unused):
        yield f"the exception for {name} {sid} {value} is unused"


@rule
def resource_policies_admit_no_strangers(template):
    for name, statement in allowed(template):
        principal = statement.get("Principal", {})
        who = [text(one) for named in principal.values() for one in as_list(named)] if isinstance(principal, dict) else [principal]
        keys = {key for tested in statement.get("Condition", {}).values() for key in tested}
        for one in who:
            if one not in PRINCIPALS or not PRINCIPALS[one] <= keys:
                yield f"{name} {statement.get('Sid')} admits {one}"


@rule
def roles_allow_what_the_environment_names(template):
    """A role allows the stores that its function's variables and queue events name, and no others."""
    stores = set(template.of_type(TABLE, QUEUE, SECRET))
    granted = [(name, references(statement.get("Resource")) & stores, actions(statement)) for name, statement in allowed(template)]
    for name, function in template.functions().items():
        sources = {role_of(function)} | policies_of(template, role_of(function))
        may = set().union(*(resources for source, resources, _ in granted if source in sources))
        sends = set().union(*(resources for source, resources, own in granted if source in sources and "sqs:SendMessage" in own))
        variables = references(template.variables(name)) & stores
        consumed = references([event.get("Queue") for consumer, _, event in template.events("SQS") if consumer == name])
        for store in sorted(may ^ (variables | consumed)):
            yield f"{name} may use {store} but is not told of it" if store in may else f"{name} is told of {store} but may not use it"
        for queue in sorted(sends - variables):
            yield f"{name} may send to {queue} but has no variable with its URL"


@rule
def shared_tables_by_key_only(template):
    """Partners, keys, practices and subscriptions share tables. A role that needs one kind of item gets no other kind."""
    for name, statement in allowed(template):
        tables = references(statement.get("Resource")) & set(template.of_type(TABLE))
        reads_usage = "ActivityTable" in tables and "dynamodb:Query" in actions(statement)
        condition = statement.get("Condition", {})
        tested = condition.get("ForAllValues:StringLike") or condition.get("ForAllValues:StringEquals") or {}
        keys = set(as_list(tested.get("dynamodb:LeadingKeys", "*")))
        if "ControlTable" in tables and "dynamodb:DeleteItem" in actions(statement) and keys != {"PRACTICE#*"}:
            yield f"{name} {statement.get('Sid')} can delete records of the audit log"
        if name in WHOLE_TABLES or not ("ControlTable" in tables or reads_usage):
            continue
        if not keys <= KEY_FAMILIES:
            yield f"{name} {statement.get('Sid')} reaches {sorted(keys - KEY_FAMILIES)}"
        if "KEY#*" in keys and actions(statement) != {"dynamodb:GetItem"} and condition.get("ForAllValues:StringEquals") != LAST_USE:
            yield f"{name} {statement.get('Sid')} changes more of an API key than its last use"


@rule
def only_functions_with_databases_are_in_the_network(template):
    """Lambda needs the network's permissions, but a function's own code must not use them."""
    for name, function in template.functions().items():
        policies = policies_of(template, role_of(function))
        opens = bool(policies & DATABASE_POLICIES)
        if opens != ("VpcConfig" in function) or opens != ("NetworkPolicy" in policies):
            yield f"{name} {'needs' if opens else 'opens no database and has'} VpcConfig or NetworkPolicy"
    for name, statement in allowed(template):
        denied = [{key: value for key, value in other.items() if key != "Sid"} for holder, other in statements(template) if holder == name]
        if any(action.startswith("ec2:") for action in actions(statement)) and NOT_BY_CODE not in denied:
            yield f"{name} lets a function's code change network interfaces"


@rule
def policies_are_of_the_current_language(template):
    """A policy without its version is read by the rules of 2008, which know fewer variables."""
    for name, resource in template.resources.items():
        for node in nodes(resource.get("Properties", {})):
            if isinstance(node, dict) and "Statement" in node and node.get("Version") != "2012-10-17":
                yield f"{name} has a policy of the version {node.get('Version')}"
