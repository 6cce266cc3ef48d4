"""template.yaml as data: short tags (`!Ref`) become their long form, Globals are merged into the functions."""

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
FUNCTION = "AWS::Serverless::Function"

# The translator complains about metrics of its own that nobody collects here.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)


class Template:
    """One template and the project folder it describes."""

    def __init__(self, body, project=PROJECT):
        self.body = body
        self.project = project
        self.translated = None

    @classmethod
    def load(cls, project=PROJECT):
        return cls(yaml_parse((project / "template.yaml").read_text()), project)

    def copy(self):
        return Template(copy.deepcopy(self.body), self.project)

    @property
    def resources(self):
        return self.body["Resources"]

    def of_type(self, resource_type):
        """Logical id → properties of the resources of a type."""
        return {name: one.get("Properties", {}) for name, one in self.resources.items() if one["Type"] == resource_type}

    def functions(self):
        """Logical id → properties, with what the Globals give to every function."""
        shared = self.body.get("Globals", {}).get("Function", {})
        return {name: merged(shared, own) for name, own in self.of_type(FUNCTION).items()}

    def events(self, event_type):
        """(logical id of the function, its properties, name of the event, the event's properties)."""
        for name, function in self.functions().items():
            for event_name, event in function.get("Events", {}).items():
                if event["Type"] == event_type:
                    yield name, function, event_name, event.get("Properties", {})

    def routes(self):
        """(route key as API Gateway writes it, logical id of the function)."""
        for name, _, _, event in self.events("HttpApi"):
            yield route_key(event), name

    def expanded(self):
        """What CloudFormation gets to see: the template with SAM's resources translated. Translated once, for it takes seconds."""
        if self.translated is None:
            self.translated = self.translate()
        return self.translated

    def translate(self):
        body = copy.deepcopy(self.body)
        for resource in body["Resources"].values():
            if resource["Type"] == FUNCTION:
                resource["Properties"]["CodeUri"] = "s3://bucket/key"
        session = boto3.Session(region_name="us-east-1")
        # The translator leaves objects of its own in the result; JSON knows only plain values.
        return json.loads(json.dumps(Translator({}, Parser(), boto_session=session).translate(body, {})))


def merged(shared, own):
    """SAM's merge of Globals: maps are merged, lists are joined, anything else is replaced."""
    if isinstance(shared, dict) and isinstance(own, dict) and not is_intrinsic(own):
        return {key: merged(shared[key], own[key]) if key in shared and key in own else own.get(key, shared.get(key))
                for key in [*shared, *(key for key in own if key not in shared)]}
    if isinstance(shared, list) and isinstance(own, list):
        return shared + own
    return own


def is_intrinsic(value):
    return isinstance(value, dict) and len(value) == 1 and (next(iter(value)) in ("Ref", "Condition") or next(iter(value)).startswith("Fn::"))


def route_key(event):
    return f"{event['Method'].upper()} {event['Path']}" if "Path" in event else "$default"


def text(value):
    """An ARN or name as text: references become `${Name}` or `${Name.Attribute}`, as in Fn::Sub."""
    if isinstance(value, dict) and "Ref" in value:
        return f"${{{value['Ref']}}}"
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        attribute = value["Fn::GetAtt"]
        return f"${{{attribute if isinstance(attribute, str) else '.'.join(attribute)}}}"
    if isinstance(value, dict) and "Fn::Sub" in value:
        return value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
    return value if isinstance(value, str) else json.dumps(value)


def references(value):
    """Logical ids that a value refers to, directly or inside Fn::Sub."""
    found = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= {inner} if key == "Ref" and isinstance(inner, str) else set()
            if key == "Fn::GetAtt":
                found.add(inner.split(".")[0] if isinstance(inner, str) else inner[0])
            elif key == "Fn::Sub":
                found |= set(re.findall(r"\$\{([A-Za-z0-9]+)", text(value)))
            else:
                found |= references(inner)
    elif isinstance(value, list):
        for inner in value:
            found |= references(inner)
    return found


def as_list(value):
    return value if isinstance(value, list) else [value]
