"""Ways to the places of a template where faults are planted."""

import json


def properties(template, name):
    return template.resources[name]["Properties"]


def statement(template, name, sid):
    """The statement with a Sid in a role, a managed policy, a key or a queue policy."""
    own = properties(template, name)
    documents = [one["PolicyDocument"] for one in own.get("Policies", [])]
    documents += [own[key] for key in ("PolicyDocument", "KeyPolicy") if key in own]
    return next(one for document in documents for one in document["Statement"] if one.get("Sid") == sid)


def event(template, function, name):
    return properties(template, function)["Events"][name]["Properties"]


def variables(template, name):
    return properties(template, name)["Environment"]["Variables"]


def rewrite_event(template, name, **changes):
    path = template.project / f"events/{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
