"""Rules about permissions: exact actions on exact resources, and nothing that a function isn't told to use."""

from .template import as_list, references, text

PRACTICE_SECRETS = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:officepro/practices/*"
# (resource, statement, the wildcard, why). An entry that nothing uses any more is a finding too.
JUSTIFIED = {
    ("PracticePolicy", "PracticeSecrets", PRACTICE_SECRETS): "practices come and go without a deployment",
    ("WebhookFanoutRole", "Traces", "*"): "X-Ray has no resources",
    ("PortalBucketPolicy", "OurDistribution", "${PortalBucket.Arn}/*"): "the portal is all that is in it",
    ("DataKey", "AccountAdministers", "kms:*"): "a key that its account can't administer is lost",
    ("DataKey", "AccountAdministers", "*"): "in a key's policy * is the key itself",
    ("DataKey", "ThroughTheStores", "*"): "in a key's policy * is the key itself; by condition only through the stores",
    ("DataKey", "ThroughTheStores", "kms:ReEncrypt*"): "ReEncryptFrom and ReEncryptTo, as DynamoDB asks",
    ("DataKey", "ThroughTheStores", "kms:GenerateDataKey*"): "with and without plaintext, as DynamoDB asks",
}
# What SAM attaches to a function's role by itself, and for what.
AWS_POLICIES = {
    "AWSLambdaBasicExecutionRole": "logs",
    "AWSXrayWriteOnlyAccess": "traces",
    "AWSLambdaVPCAccessExecutionRole": "network interfaces of the functions that open databases",
}
# Functions that may write any item of the control table: the administrators', and the portal's, which mints keys.
WRITES_ALL_OF_CONTROL = {"AdminFunction", "PortalFunction"}
STORES = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret")


def statements(template):
    """(logical id, statement) of every policy in the template."""
    for name, function in template.functions().items():
        for policy in as_list(function.get("Policies", [])):
            for statement in policy.get("Statement", []):
                yield name, statement
    for name, resource in template.resources.items():
        properties = resource.get("Properties", {})
        documents = [properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties]
        if resource["Type"] == "AWS::IAM::Role":
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


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
    """A store in a function's environment is one its policies allow, and the reverse."""
    stores = {name for name, one in template.resources.items() if one["Type"] in STORES}
    allowed_by = {}
    for name, statement in statements(template):
        if statement["Effect"] == "Allow":
            allowed_by.setdefault(name, set()).update(references(statement.get("Resource")) & stores)
    for name, function in template.functions().items():
        named = references(function.get("Environment", {}).get("Variables", {})) & stores
        sources = {name} | references(function.get("Role")) | references([one for one in as_list(function.get("Policies", [])) if "Ref" in one])
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
    """The functions that may read the secrets of databases are those that can be put in the VPC."""
    for name, function in template.functions().items():
        policies = as_list(function.get("Policies", []))
        opens = any({"Ref": policy} in policies for policy in ("PracticePolicy", "CatalogPolicy"))
        if opens != ("VpcConfig" in function):
            yield f"{name} {'cannot reach' if opens else 'is in the network of'} the databases"


def only_known_aws_policies(template):
    for name, resource in template.expanded()["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("ManagedPolicyArns", []):
            if isinstance(policy, str) and policy.rsplit("/", 1)[-1] not in AWS_POLICIES:
                yield f"{name} is given {policy}"


RULES = [
    no_wildcards, everyone_only_under_conditions, indexes_exist, allowed_is_what_the_environment_names,
    writes_to_control_by_key, databases_in_the_vpc, only_known_aws_policies,
]
