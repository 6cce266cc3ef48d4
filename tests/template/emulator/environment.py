"""The environment that template.yaml defines for a function, with substitutes for what exists only in AWS."""

import json
import secrets
import string

from gate.template import QUEUE, SECRET, references

# Nothing listens on port 9 ("discard"). A function that needs its stores must report an error and
# not hang.
NOWHERE = "http://127.0.0.1:9"


def environment_of(name, template):
    """Returns variable → value for the function with this logical id. Each run has new secrets."""
    function = template.functions()[name]
    variables = {
        "PATH": "/usr/bin:/bin", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function["Timeout"]), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
    }
    for variable, value in template.variables(name).items():
        referred = next(iter(references(value)), None)
        if referred in template.of_type(SECRET):
            variables[variable] = f"env:SECRET_{referred}"
            variables[f"SECRET_{referred}"] = generated(template.of_type(SECRET)[referred]["GenerateSecretString"])
        elif referred in template.of_type(QUEUE):
            variables[variable] = f"{NOWHERE}/000000000000/{referred}"
        else:
            variables[variable] = str(template.body["Parameters"].get(referred, {}).get("Default", referred or value))
    return variables


def generated(recipe):
    """Returns what Secrets Manager generates for GenerateSecretString: a text, or the given object with one more key."""
    value = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(recipe["PasswordLength"]))
    if "SecretStringTemplate" not in recipe:
        return value
    return json.dumps(json.loads(recipe["SecretStringTemplate"]) | {recipe["GenerateStringKey"]: value})
