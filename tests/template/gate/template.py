"""template.yaml as Python data, with the long forms of tags such as `!Ref`, and with Globals merged into the functions."""

import copy
import json
import logging
import re
from pathlib import Path

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

PROJECT = Path(__file__).resolve().parents[3]
FUNCTION, HTTP_API = "AWS::Serverless::Function", "AWS::Serverless::HttpApi"
TABLE, QUEUE, SECRET, LOG_GROUP = "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"
NO_VALUE = {"Ref": "AWS::NoValue"}

# The translator warns that its own metrics are not collected and that its feature toggles are
# missing.
for logger in ("samtranslator.metrics", "samtranslator.feature_toggle"):
    logging.getLogger(logger).setLevel(logging.CRITICAL)


class Template:
    """A template and the project folder that it describes."""

    def __init__(self, body, project=PROJECT):
        self.body, self.project = body, project
        self.resources = body["Resources"]

    @classmethod
    def load(cls):
        return cls(yaml_parse((PROJECT / "template.yaml").read_text()))

    def of_type(self, *types):
        """Returns logical id → properties of the resources of these types."""
        return {name: resource.get("Properties", {}) for name, resource in self.resources.items() if resource["Type"] in types}

    def functions(self):
        """Returns logical id → properties, including Globals."""
        shared = {"Timeout": 3} | self.body.get("Globals", {}).get("Function", {})
        return {name: merged(shared, own) for name, own in self.of_type(FUNCTION).items()}

    def variables(self, function):
        return self.functions()[function].get("Environment", {}).get("Variables", {})

    def groups(self):
        """Returns the function's name, such as log-poller → logical id."""
        return {re.sub(r"\B(?=[A-Z])", "-", name.removesuffix("Function")).lower(): name for name in self.functions()}

    def folders(self):
        """Returns the folders under functions/ whose programs the functions run."""
        return {function["CodeUri"].removeprefix("functions/") for function in self.functions().values()}

    def events(self, event_type):
        """Yields (logical id of the function, its properties, the event's properties) for each event of a type."""
        for name, function in self.functions().items():
            for event in function.get("Events", {}).values():
                if event["Type"] == event_type:
                    yield name, function, event.get("Properties", {})

    def routes(self):
        """Yields (route key in API Gateway's notation, logical id of the function)."""
        for name, _, event in self.events("HttpApi"):
            yield f"{event['Method'].upper()} {event['Path']}" if "Path" in event else "$default", name

    def event_files(self):
        """Yields (path, group) of each file in events/. The longest group that the file's name starts with owns the file; `None` if there is none."""
        for path in sorted((self.project / "events").glob("*.json")):
            fits = [group for group in self.groups() if path.stem == group or path.stem.startswith(f"{group}-")]
            yield path, max(fits, key=len, default=None)

    def expanded(self):
        """Returns the template as CloudFormation receives it. SAM's transform is the one that AWS runs; it raises an error for what it rejects."""
        body = copy.deepcopy(self.body)
        for resource in body["Resources"].values():
            if resource["Type"] == FUNCTION:
                resource["Properties"]["CodeUri"] = "s3://bucket/key"
        translated = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1")).translate(body, {})
        # The result contains objects of the translator; a round trip through JSON leaves only plain
        # values.
        return json.loads(json.dumps(translated))


def merged(shared, own):
    """Merges like SAM: maps are merged, lists are joined, and anything else is replaced."""
    if isinstance(shared, dict) and isinstance(own, dict) and not any(key == "Ref" or key.startswith("Fn::") for key in own):
        return shared | {key: merged(shared[key], value) if key in shared else value for key, value in own.items()}
    return shared + own if isinstance(shared, list) and isinstance(own, list) else own


def text(value):
    """Returns an ARN or a name as text, with references as in Fn::Sub: `${Name}` or `${Name.Attribute}`."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": path}:
            return f"${{{path if isinstance(path, str) else '.'.join(path)}}}"
        case {"Fn::Sub": str(pattern)} | {"Fn::Sub": [str(pattern), _]}:
            return pattern
    return json.dumps(value)


def nodes(value):
    """Yields a value and everything inside it."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def references(value):
    """Returns the logical ids that a value refers to, including those inside Fn::Sub."""
    intrinsics = [node for node in nodes(value) if isinstance(node, dict) and {"Ref", "Fn::GetAtt", "Fn::Sub"} & set(node)]
    return {name for node in intrinsics for name in re.findall(r"\$\{([A-Za-z0-9:]+)", text(node))}


def as_list(value):
    return value if isinstance(value, list) else [value]
