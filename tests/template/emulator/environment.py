"""The environment that template.yaml gives a function, with stand-ins for what only the cloud has."""

import json
import secrets
import string

from gate.template import references

# Nothing listens here: a function that needs its stores must say so and not hang. Port 9 is "discard".
NOWHERE = "http://127.0.0.1:9"


def environment_of(name, function, template):
    """Variable → value for the function with this logical id; secrets are made anew for every run."""
    variables = {
        "PATH": "/usr/bin:/bin",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function["Timeout"]),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
    }
    for variable, value in function["Environment"]["Variables"].items():
        referred = next(iter(references(value)), None)
        resource = template.resources.get(referred, {})
        if referred is None:
            variables[variable] = str(value)
        elif resource.get("Type") == "AWS::SecretsManager::Secret":
            variables[variable] = f"env:SECRET_{referred}"
            variables[f"SECRET_{referred}"] = generated(resource["Properties"]["GenerateSecretString"])
        elif resource.get("Type") == "AWS::SQS::Queue":
            variables[variable] = f"{NOWHERE}/000000000000/{referred}"
        elif referred in template.body["Parameters"]:
            variables[variable] = str(template.body["Parameters"][referred]["Default"])
        else:
            variables[variable] = referred
    return variables


def generated(recipe):
    """What Secrets Manager makes of GenerateSecretString: a text, or the template's object with one more key."""
    alphabet = string.ascii_letters + string.digits
    value = "".join(secrets.choice(alphabet) for _ in range(recipe["PasswordLength"]))
    if "SecretStringTemplate" not in recipe:
        return value
    return json.dumps(json.loads(recipe["SecretStringTemplate"]) | {recipe["GenerateStringKey"]: value})
