"""Rules about secrets: they are in Secrets Manager, and in the template and the functions' configuration only their names are."""

import math
import re
from collections import Counter

from .shapes import nodes

# Literal values in the environment. Everything else there is a reference.
LITERALS = {"TOKEN_ISSUER": "officepro-partner-api"}
NAMES = re.compile(r"(?i)secret|token|passw|private|credential|key|dsn|salt")
# The name of a version of a secret, which tells nothing of it.
VERSIONS = {"EdgeSecretVersion"}
# By this the distribution proves itself to the API. CloudFront has no other way to be told of it, and nothing else may be.
SHOWN_BY_THE_DISTRIBUTION = "{{resolve:secretsmanager:${EdgeSecret}:SecretString:current::${EdgeSecretVersion}}}"
TYPES = {"String", "Number", "CommaDelimitedList"}
SHAPES = re.compile(r"op_(live|test)_\w|whsec_\w|AKIA[A-Z0-9]{16}|://[^/@\s]*:[^/@\s]*@|-----BEGIN")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Bits for each character of a run of letters and digits, from which on chance made it: words have less, or no digits in them; a slash or hyphen ends a run.
BITS, LENGTH = 3.3, 16


def made_by_chance(value):
    for run in re.findall(rf"[A-Za-z0-9+_=]{{{LENGTH},}}", UUID.sub("", value)):
        counts = Counter(run).values()
        entropy = -sum(count / len(run) * math.log2(count / len(run)) for count in counts)
        if entropy >= BITS and re.search("[0-9]", run) and re.search("[A-Za-z]", run):
            return True
    return False


def no_secret_in_the_environment(template):
    """Values are references to tables, queues and parameters, or a secret's ARN where the name says so; no text is put together."""
    secrets = set(template.of_type("AWS::SecretsManager::Secret"))
    for name, function in template.functions().items():
        for variable, value in function.get("Environment", {}).get("Variables", {}).items():
            reference = value.get("Ref") if isinstance(value, dict) and len(value) == 1 else None
            if variable in LITERALS:
                if value != LITERALS[variable]:
                    yield f"{name} {variable} is not {LITERALS[variable]}"
            elif variable.endswith("_SECRET"):
                if reference not in secrets:
                    yield f"{name} {variable} is not a reference to a secret of the template"
            elif NAMES.search(variable):
                yield f"{name} {variable} has the name of a secret"
            elif reference is None or reference in secrets:
                yield f"{name} {variable} is not a reference to a store or a parameter"


def no_secret_as_a_parameter(template):
    for name, parameter in template.body.get("Parameters", {}).items():
        if NAMES.search(name) and name not in VERSIONS:
            yield f"the parameter {name} has the name of a secret"
        if "NoEcho" in parameter:
            yield f"the parameter {name} is a secret; deployments keep it, and functions would have it in their configuration"
        if parameter.get("Type") not in TYPES:
            yield f"the parameter {name} is of the type {parameter.get('Type')}"


def no_secret_in_the_text(template):
    shown = 0
    for node in nodes(template.body):
        for value in (node, *node) if isinstance(node, dict) else (node,):
            if not isinstance(value, str):
                continue
            shown += value == SHOWN_BY_THE_DISTRIBUTION
            # Parts of one, too, which could be joined.
            if ("{{" in value or "resolve:" in value) and (value != SHOWN_BY_THE_DISTRIBUTION or shown > 1):
                yield f"{value[:60]}: a dynamic reference puts the secret itself into a configuration"
            if SHAPES.search(value) or made_by_chance(value):
                yield f"{value[:20]}… looks like a secret"


RULES = [no_secret_in_the_environment, no_secret_as_a_parameter, no_secret_in_the_text]
