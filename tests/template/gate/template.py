"""template.yaml as Python data: short tags such as `!Ref` take their long form, and Globals are merged into the functions."""

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

# The translator warns that nobody collects its own metrics and that AWS's switches of its features aren't here.
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
        """Logical id → properties of the resources of these types."""
        return {name: resource.get("Properties", {}) for name, resource in self.resources.items() if resource["Type"] in types}

    def functions(self):
        """Logical id → properties, Globals included."""
        shared = {"Timeout": 3} | self.body.get("Globals", {}).get("Function", {})
        return {name: merged(shared, own) for name, own in self.of_type(FUNCTION).items()}

    def variables(self, function):
        return self.functions()[function].get("Environment", {}).get("Variables", {})

    def groups(self):
        """Folder under functions/ → logical id of its function."""
        return {function["CodeUri"].removeprefix("functions/"): name for name, function in self.functions().items()}

    def events(self, event_type):
        """(logical id of the function, its properties, the event's properties) for each event of a type."""
        for name, function in self.functions().items():
            for event in function.get("Events", {}).values():
                if event["Type"] == event_type:
                    yield name, function, event.get("Properties", {})

    def routes(self):
        """(route key as API Gateway writes it, logical id of the function)."""
        for name, _, event in self.events("HttpApi"):
            yield f"{event['Method'].upper()} {event['Path']}" if "Path" in event else "$default", name

    def event_files(self):
        """(path, group) of each file in events/. The longest group that starts the file's name owns the file; `None` means nobody does."""
        for path in sorted((self.project / "events").glob("*.json")):
            fits = [group for group in self.groups() if path.stem == group or path.stem.startswith(f"{group}-")]
            yield path, max(fits, key=len, default=None)

    def expanded(self):
        """The template as CloudFormation receives it. SAM's transform is the one that AWS runs, and it raises on what it refuses."""
        body = copy.deepcopy(self.body)
        for resource in body["Resources"].values():
            if resource["Type"] == FUNCTION:
                resource["Properties"]["CodeUri"] = "s3://bucket/key"
        translated = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1")).translate(body, {})
        # The result holds objects of the translator's own. JSON knows plain values only.
        return json.loads(json.dumps(translated))


def merged(shared, own):
    """Merges as SAM does: maps are merged, lists are joined, and anything else is replaced."""
    if isinstance(shared, dict) and isinstance(own, dict) and not any(key == "Ref" or key.startswith("Fn::") for key in own):
        return shared | {key: merged(shared[key], value) if key in shared else value for key, value in own.items()}
    return shared + own if isinstance(shared, list) and isinstance(own, list) else own


def text(value):
    """An ARN or a name as text. References look as they do in Fn::Sub: `${Name}` or `${Name.Attribute}`."""
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
    """A value and everything inside it."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def references(value):
    """The logical ids that a value refers to, those inside Fn::Sub included."""
    intrinsics = [node for node in nodes(value) if isinstance(node, dict) and {"Ref", "Fn::GetAtt", "Fn::Sub"} & set(node)]
    return {name for node in intrinsics for name in re.findall(r"\$\{([A-Za-z0-9:]+)", text(node))}


def as_list(value):
    return value if isinstance(value, list) else [value]
