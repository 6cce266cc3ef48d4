"""Secrets: they are in Secrets Manager. The template and the functions' configuration contain only their names."""

import math
import re
from collections import Counter

from . import rule
from .template import SECRET, nodes

# Literal values in the environment. All other values are references.
LITERALS = {"TOKEN_ISSUER": "officepro-partner-api", "WEBHOOK_LANE": "slow"}
NAMES = re.compile(r"(?i)secret|token|passw|private|credential|key|dsn|salt")
# The name of a secret's version, which reveals nothing about the secret.
VERSIONS = {"EdgeSecretVersion"}
# Words of SAM and CodeDeploy that look random.
WORDS = {"AutoPublishCodeSha256", "Canary10Percent5Minutes", "Canary10Percent15Minutes", "Linear10PercentEvery1Minute"}
# The distribution authenticates to the API with this. CloudFront has no other way to get it, and
# nothing else may contain it.
SHOWN_BY_THE_DISTRIBUTION = "{{resolve:secretsmanager:${EdgeSecret}:SecretString:current::${EdgeSecretVersion}}}"
SHAPES = re.compile(r"op_(live|test)_\w|whsec_\w|AKIA[A-Z0-9]{16}|://[^/@\s]*:[^/@\s]*@|-----BEGIN")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Entropy in bits per character from which on a run of letters and digits looks random. Words have
# less, or no digits.
BITS, LENGTH = 3.3, 16


def looks_random(value):
    for run in re.findall(rf"[A-Za-z0-9+_=]{{{LENGTH},}}", UUID.sub("", value)):
        entropy = -sum(count / len(run) * math.log2(count / len(run)) for count in Counter(run).values())
        if entropy >= BITS and re.search("[0-9]", run) and re.search("[A-Za-z]", run):
            return True
    return False


@rule
def no_secret_in_the_environment(template):
    """A value refers to a store, a parameter or, according to its name, a secret's ARN. No value is assembled from parts."""
    secrets = set(template.of_type(SECRET))
    for name in template.functions():
        for variable, value in template.variables(name).items():
            reference = value.get("Ref") if isinstance(value, dict) and len(value) == 1 else None
            if variable in LITERALS:
                fine = value == LITERALS[variable]
            elif variable.endswith("_SECRET"):
                fine = reference in secrets
            else:
                fine = reference and reference not in secrets and not NAMES.search(variable)
            if not fine:
                yield f"{name} {variable} may hold a secret"


@rule
def no_secret_as_a_parameter(template):
    for name, parameter in template.body.get("Parameters", {}).items():
        if (NAMES.search(name) and name not in VERSIONS) or "NoEcho" in parameter:
            yield f"the parameter {name} is a secret, which deployments would store"
        if parameter.get("Type") not in ("String", "Number", "CommaDelimitedList"):
            yield f"the parameter {name} is of the type {parameter.get('Type')}, which imports values from outside"


@rule
def no_secret_in_the_text(template):
    shown = 0
    for node in nodes(template.body):
        for value in (node, *node) if isinstance(node, dict) else (node,):
            if not isinstance(value, str):
                continue
            shown += value == SHOWN_BY_THE_DISTRIBUTION
            # Parts of a dynamic reference count too, because Fn::Join can put them together.
            if ("{{" in value or "resolve:" in value) and (value != SHOWN_BY_THE_DISTRIBUTION or shown > 1):
                yield f"{value[:60]}: a dynamic reference puts the secret's value into a configuration"
            if SHAPES.search(value) or (value not in WORDS and looks_random(value)):
                yield f"{value[:20]}… looks like a secret"


@rule
def secrets_are_generated(template):
    for name, secret in template.of_type(SECRET).items():
        recipe = secret.get("GenerateSecretString", {})
        # 43 letters and digits have 256 bits. The code reads the text as JSON or base64, which punctuation would break.
        if recipe.get("PasswordLength", 0) < 43 or recipe.get("ExcludePunctuation") is not True or "SecretString" in secret:
            yield f"{name} is not generated with 256 bits"
