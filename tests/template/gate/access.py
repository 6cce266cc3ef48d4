"""Who may do what on which keys of what: the expanded template against the list in expected_access.toml, to the letter.

`python -m gate access` writes the list anew from the template; its diff is what is reviewed.
"""

import json
import tomllib
from collections import defaultdict
from pathlib import Path

from .template import as_list, references, text

LIST = Path(__file__).parent / "expected_access.toml"
HEAD = """\
# Who may do what on which resource, and on which of its keys, by the template. Functions are named without "Function".
# The gate compares it to the letter. After a change of permissions: `python -m gate access` in tests/template, then read the diff.
"""
POLICIES = {"AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::KMS::Key"}


def grants(template):
    """(resource, effect, conditions, action, who) of every statement of the expanded template."""
    resources = template.expanded()["Resources"]
    for holder, conditions, statement in attached(resources):
        who = [holder.removesuffix("Function")] if resources[holder]["Type"] == "AWS::Lambda::Function" else principals(statement)
        conditions = (*conditions, *(f"{operator} {key} {' '.join(map(text, as_list(values)))}"
                                     for operator, tested in statement.get("Condition", {}).items() for key, values in tested.items()))
        conditions += tuple(f"{key} {statement[key]}" for key in ("NotAction", "NotResource", "NotPrincipal") if key in statement)
        for resource in as_list(statement.get("Resource", "anything")):
            for action in as_list(statement.get("Action", "anything")):
                for one in who:
                    # In a key's policy * is the key itself.
                    yield holder if resources[holder]["Type"] == "AWS::KMS::Key" else text(resource), statement["Effect"], tuple(sorted(conditions)), text(action), one


def attached(resources):
    """(function, conditions, statement) of its role and the role's policies; (policy, …) of the policies of resources."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Function":
            for role in references(properties["Role"]):
                for conditions, document in documents(resources, role):
                    for statement in as_list(document["Statement"]):
                        yield name, conditions, statement
        if resource["Type"] in POLICIES:
            for statement in as_list(properties.get("PolicyDocument", properties.get("KeyPolicy"))["Statement"]):
                yield name, (), statement


def documents(resources, role):
    properties = resources[role]["Properties"]
    for policy in properties.get("Policies", []):
        yield (), policy["PolicyDocument"]
    for policy in properties.get("ManagedPolicyArns", []):
        condition, then, otherwise = policy["Fn::If"] if "Fn::If" in policy else (None, policy, None)
        for branch, conditions in ((then, (f"template {condition}",) if condition else ()), (otherwise, (f"template not {condition}",))):
            for name in references(branch) & set(resources):
                yield conditions, resources[name]["Properties"]["PolicyDocument"]


def principals(statement):
    principal = statement.get("Principal", "anybody")
    return [principal] if isinstance(principal, str) else [f"{kind} {text(one)}" for kind, named in principal.items() for one in as_list(named)]


def rows(template):
    """Resource → its rows, each with the actions that the same functions have under the same conditions."""
    holders = defaultdict(set)
    for resource, effect, conditions, action, who in grants(template):
        holders[resource, effect, conditions, action].add(who)
    actions = defaultdict(set)
    for (resource, effect, conditions, action), who in holders.items():
        actions[resource, effect, conditions, tuple(sorted(who))].add(action)
    found = defaultdict(list)
    for (resource, effect, conditions, who), may in sorted(actions.items()):
        row = {"may" if effect == "Allow" else "may_not": sorted(may), **({"if": list(conditions)} if conditions else {}), "who": list(who)}
        found[resource].append(row)
    return dict(found)


def write(template):
    lines = [HEAD]
    for resource, own in rows(template).items():
        for row in own:
            lines += [f"[[{json.dumps(resource)}]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items()), ""]
    LIST.write_text("\n".join(lines))


def access_is_as_listed(template):
    listed, found = tomllib.loads(LIST.read_text()), rows(template)
    for resource in sorted(set(listed) | set(found)):
        for row in found.get(resource, []):
            if row not in listed.get(resource, []):
                yield f"{resource}: {row} is not in {LIST.name}"
        for row in listed.get(resource, []):
            if row not in found.get(resource, []):
                yield f"{resource}: {row} is not in the template"


RULES = [access_is_as_listed]
