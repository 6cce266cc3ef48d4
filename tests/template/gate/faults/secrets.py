"""Faults for the rules in secrets.py: what is broken, and what the finding must name."""

from ..secrets import SHOWN_BY_THE_DISTRIBUTION
from .plant import properties, variables


def parameter(template, name, **own):
    template.body["Parameters"][name] = {"Type": "String", **own}


FAULTS = {
    "no_secret_in_the_environment": [
        (lambda t: variables(t, "MeFunction").update(TOKEN_KEYS_SECRET="hunter2"), "MeFunction TOKEN_KEYS_SECRET"),
        (lambda t: variables(t, "MeFunction").update(TOKEN_KEYS_SECRET={"Ref": "LogLevel"}), "MeFunction TOKEN_KEYS_SECRET"),
        (lambda t: variables(t, "MeFunction").update(TOKEN_KEYS_SECRET={"Fn::Sub": "{{resolve:secretsmanager:${TokenKeysSecret}}}"}), "MeFunction TOKEN_KEYS_SECRET"),
        (lambda t: variables(t, "MeFunction").update(DATABASE="postgres://app:hunter2@db/practice"), "MeFunction DATABASE"),
        (lambda t: variables(t, "MeFunction").update(COLOUR={"Fn::Sub": "${LogLevel}hunter2"}), "MeFunction COLOUR"),
        (lambda t: variables(t, "MeFunction").update(COLOUR={"Ref": "TokenKeysSecret"}), "MeFunction COLOUR"),
        (lambda t: variables(t, "MeFunction").update(API_KEY={"Ref": "LogLevel"}), "MeFunction API_KEY"),
        (lambda t: variables(t, "MeFunction").update(SIGNING_TOKEN={"Ref": "LogLevel"}), "MeFunction SIGNING_TOKEN"),
        (lambda t: variables(t, "MeFunction").update(TOKEN_ISSUER="hunter2"), "MeFunction TOKEN_ISSUER"),
        (lambda t: t.body["Globals"]["Function"]["Environment"]["Variables"].update(CATALOG_DSN="x"), "CATALOG_DSN"),
    ],
    "no_secret_as_a_parameter": [
        (lambda t: parameter(t, "CatalogPassword"), "CatalogPassword has the name"),
        (lambda t: parameter(t, "Colour", NoEcho=True), "Colour is a secret"),
        (lambda t: parameter(t, "Colour", Type="AWS::SSM::Parameter::Value<String>"), "Colour is of the type"),
    ],
    "no_secret_in_the_text": [
        (lambda t: parameter(t, "Colour", Default="whsec_AAAA"), "whsec_AAAA"),
        (lambda t: parameter(t, "Colour", Default="xK9vT2mQ8pLw4Zr7"), "xK9vT2mQ8pLw4Zr7"),
        (lambda t: parameter(t, "Colour", Default="9f86d081884c7d659a2feaa0c55ad015"), "9f86d081884c7d659a2f"),
        (lambda t: parameter(t, "Colour", Default="c2VjcmV0LXNlY3JldC1zZWNyZXQ="), "c2VjcmV0"),
        (lambda t: t.body["Outputs"].update(Keys={"Value": {"Fn::Sub": "{{resolve:secretsmanager:${TokenKeysSecret}}}"}}), "{{resolve:"),
        (lambda t: t.body["Outputs"].update(Keys={"Value": {"Fn::Join": ["", ["{{", "resolve:secretsmanager:", {"Ref": "TokenKeysSecret"}, "}}"]]}}), "resolve:"),
        (lambda t: t.body["Outputs"].update(Edge={"Value": {"Fn::Sub": SHOWN_BY_THE_DISTRIBUTION}}), "{{resolve:"),
        (lambda t: properties(t, "EventsQueue").update(Tags=[{"Key": "AKIAABCDEFGHIJKLMNOP"}]), "AKIA"),
        (lambda t: t.resources["MeFunction"]["Metadata"].update(Database="postgres://app:hunter2@db/practice"), "postgres://app"),
    ],
}
