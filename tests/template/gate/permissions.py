"""Rules about permissions: exact actions on exact resources, and nothing that a function isn't told to use."""

from collections import Counter

from .shapes import nodes
from .template import as_list, references, text

PRACTICE_SECRETS = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${AWS::StackName}/practices/*"
# (resource, statement, the wildcard, why). An entry that nothing uses any more is a finding too.
JUSTIFIED = {
    ("PracticePolicy", "PracticeSecrets", PRACTICE_SECRETS): "practices come and go without a deployment",
    ("FunctionPolicy", "Traces", "*"): "X-Ray has no resources",
    ("NetworkPolicy", "NetworkInterfaces", "*"): "Lambda asks before an interface has a name; NotByCode keeps it from the functions' own code",
    ("PortalBucketPolicy", "OurDistribution", "${PortalBucket.Arn}/*"): "the portal is all that is in it",
    ("DataKey", "AccountAdministers", "kms:*"): "a key that its account can't administer is lost",
    ("DataKey", "AccountAdministers", "*"): "in a key's policy * is the key itself",
    ("DataKey", "ThroughTheStores", "*"): "in a key's policy * is the key itself; by condition only through the stores",
    ("DataKey", "OwnLogGroups", "*"): "in a key's policy * is the key itself; by condition for our log groups only",
    ("DataKey", "OwnLogGroups", "kms:ReEncrypt*"): "ReEncryptFrom and ReEncryptTo, as CloudWatch Logs asks",
    ("DataKey", "OwnLogGroups", "kms:GenerateDataKey*"): "with and without plaintext, as CloudWatch Logs asks",
    ("DataKey", "ThroughTheStores", "kms:ReEncrypt*"): "ReEncryptFrom and ReEncryptTo, as DynamoDB asks",
    ("DataKey", "ThroughTheStores", "kms:GenerateDataKey*"): "with and without plaintext, as DynamoDB asks",
}
# Roles that may write any item of the control table: the administrators', and the portal's, which mints keys.
WRITES_ALL_OF_CONTROL = {"AdminRole", "PortalRole"}
NOT_BY_CODE = {"Null": {"lambda:SourceFunctionArn": "false"}}
TRUSTS_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
STORES = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret")


def statements(template):
    """(logical id, statement) of every policy in the template."""
    for name, resource in template.resources.items():
        properties = resource.get("Properties", {})
        documents = [properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties]
        if resource["Type"] == "AWS::IAM::Role":
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def role_of(function):
    """Logical id of a function's role."""
    return next(iter(references(function.get("Role"))), None)


def policies_of(template, role):
    """Logical ids of the managed policies of a role."""
    return references(template.of_type("AWS::IAM::Role").get(role, {}).get("ManagedPolicyArns", []))


def a_role_for_each_function(template):
    owners = Counter(role_of(function) for function in template.functions().values())
    roles = template.of_type("AWS::IAM::Role")
    for name, function in template.functions().items():
        role = role_of(function)
        if role != name.removesuffix("Function") + "Role" or role not in roles:
            yield f"{name} has no role of its own name"
        elif roles[role]["AssumeRolePolicyDocument"]["Statement"] != [TRUSTS_LAMBDA]:
            yield f"{role} may be taken by others than Lambda"
        if owners[role] > 1:
            yield f"{name} shares {role}"
        if "Policies" in function:
            yield f"{name} has policies beside its role, which SAM ignores"
    for role in sorted(set(roles) - set(owners)):
        yield f"{role} is nobody's role"


def every_policy_is_used(template):
    used = set().union(*(policies_of(template, role) for role in template.of_type("AWS::IAM::Role")))
    for policy in sorted(set(template.of_type("AWS::IAM::ManagedPolicy")) - used):
        yield f"{policy} is given to nobody"


def logs_to_our_group_only(template):
    groups = set(template.of_type("AWS::Logs::LogGroup"))
    for name, statement in statements(template):
        logs = any(text(action).startswith("logs:") for action in as_list(statement.get("Action", [])))
        if logs and any(not references(resource) & groups for resource in as_list(statement["Resource"])):
            yield f"{name} {statement.get('Sid')} writes to log groups that aren't the template's"
    for name, function in template.functions().items():
        if "FunctionPolicy" not in policies_of(template, role_of(function)):
            yield f"{name} can't write its logs"


def no_wildcards(template):
    unused = set(JUSTIFIED)
    for name, statement in statements(template):
        if statement["Effect"] != "Allow":
            continue
        if "NotAction" in statement or "NotResource" in statement or "NotPrincipal" in statement:
            yield f"{name} {statement.get('Sid')} allows all but what it names"
        for value in [*as_list(statement.get("Action", [])), *as_list(statement.get("Resource", []))]:
            exception = (name, statement.get("Sid"), text(value))
            unused.discard(exception)
            if "*" in text(value) and exception not in JUSTIFIED:
                yield f"{name} {statement.get('Sid')} allows {text(value)}"
    for name, sid, value in sorted(unused):
        yield f"the exception for {name} {sid} {value} is not used any more"


def everyone_only_under_conditions(template):
    for name, statement in statements(template):
        everyone = statement.get("Principal") in ("*", {"AWS": "*"})
        needed = {"kms:CallerAccount", "kms:ViaService"}
        if everyone and statement["Effect"] == "Allow" and not needed <= set(statement.get("Condition", {}).get("StringEquals", {})):
            yield f"{name} {statement.get('Sid')} allows everyone"


def indexes_exist(template):
    for name, statement in statements(template):
        for resource in as_list(statement.get("Resource", [])):
            table, slash, index = text(resource).partition("/index/")
            if not slash:
                continue
            properties = template.of_type("AWS::DynamoDB::Table").get(table.removeprefix("${").removesuffix(".Arn}"), {})
            if index not in {one["IndexName"] for one in properties.get("GlobalSecondaryIndexes", [])}:
                yield f"{name} {statement.get('Sid')} allows {text(resource)}, which does not exist"
            if as_list(statement["Action"]) != ["dynamodb:Query"]:
                yield f"{name} {statement.get('Sid')} allows more than Query on an index"


def allowed_is_what_the_environment_names(template):
    """A store that a function's environment or its queue events name is one its role allows, and the reverse."""
    stores = {name for name, one in template.resources.items() if one["Type"] in STORES}
    allowed_by = {}
    for name, statement in statements(template):
        if statement["Effect"] == "Allow":
            allowed_by.setdefault(name, set()).update(references(statement.get("Resource")) & stores)
    for name, function in template.functions().items():
        consumed = [event["Properties"].get("Queue") for event in function.get("Events", {}).values() if event["Type"] == "SQS"]
        named = references([function.get("Environment", {}).get("Variables", {}), consumed]) & stores
        sources = {role_of(function)} | policies_of(template, role_of(function))
        allowed = set().union(*(allowed_by.get(source, set()) for source in sources))
        for store in sorted(named - allowed):
            yield f"{name} is told of {store} but may not use it"
        for store in sorted(allowed - named):
            yield f"{name} may use {store} but is not told of it"


def writes_to_control_by_key(template):
    """Partners, keys, practices and subscriptions share a table: who may write one kind may not write the others."""
    for name, statement in statements(template):
        actions = {text(one) for one in as_list(statement.get("Action", []))}
        writes = actions & {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
        if not writes or "ControlTable" not in references(statement["Resource"]) or name in WRITES_ALL_OF_CONTROL:
            continue
        keys = as_list(statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", []))
        if not keys or any(key.startswith("*") for key in keys):
            yield f"{name} {statement.get('Sid')} may write every item of the control table"


def databases_in_the_vpc(template):
    """The functions that may read the secrets of databases are those that are put in the VPC, and may be."""
    for name, function in template.functions().items():
        policies = policies_of(template, role_of(function))
        opens = bool(policies & {"PracticePolicy", "CatalogPolicy"})
        if opens != ("VpcConfig" in function):
            yield f"{name} {'cannot reach' if opens else 'is in the network of'} the databases"
        if opens != ("NetworkPolicy" in policies):
            yield f"{role_of(function)} {'lacks' if opens else 'needs no'} NetworkPolicy"


def the_network_is_not_for_code(template):
    """Lambda needs the permissions, but with the role's credentials a function could use them too."""
    for name, policy in template.of_type("AWS::IAM::ManagedPolicy").items():
        own = policy["PolicyDocument"]["Statement"]
        takes = any(text(action).startswith("ec2:") for one in own if one["Effect"] == "Allow" for action in as_list(one["Action"]))
        denies = any(one["Effect"] == "Deny" and (one["Action"], one["Resource"], one.get("Condition")) == ("ec2:*", "*", NOT_BY_CODE) for one in own)
        if takes and not denies:
            yield f"{name} lets a function's code change network interfaces"


def no_policies_of_aws(template):
    """They allow on `*` what a function needs on one resource: logs, queues. SAM adds them where it makes a role itself."""
    for name, resource in template.expanded()["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("ManagedPolicyArns", []):
                if not references(policy) & set(template.resources):
                    yield f"{name} is given {text(policy)}"


def policies_are_of_the_newest_language(template):
    """Without its version a policy is of 2008: what came later is not what it says in it."""
    for name, resource in template.resources.items():
        for node in nodes(resource.get("Properties", {})):
            if isinstance(node, dict) and "Statement" in node and node.get("Version") != "2012-10-17":
                yield f"{name} has a policy of the version {node.get('Version')}"


RULES = [
    a_role_for_each_function, every_policy_is_used, logs_to_our_group_only, no_wildcards, everyone_only_under_conditions,
    indexes_exist, allowed_is_what_the_environment_names, writes_to_control_by_key, databases_in_the_vpc,
    the_network_is_not_for_code, no_policies_of_aws, policies_are_of_the_newest_language,
]
