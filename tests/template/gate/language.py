"""Language: what CloudFormation itself evaluates or rejects when it receives a template, and no linter checks.

Sources: the AWS CloudFormation Template Reference Guide ("Rule functions", "Condition functions", "DeletionPolicy attribute",
"UpdateReplacePolicy attribute", "Using dynamic references"); for Fn::If and Condition in Rules, which the guide lists but CloudFormation refuses,
issues 921 and 1183 of aws-cloudformation/cloudformation-coverage-roadmap.
"""

import re

from . import rule
from .template import as_list, nodes

VALUES_IN_RULES = {"Ref", "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll"}
# Function → its minimum and maximum number of arguments. Functions with a list have it first.
TESTS_IN_RULES = {"Fn::And": (2, 10), "Fn::Or": (2, 10), "Fn::Not": (1, 1), "Fn::Equals": (2, 2), "Fn::Contains": (2, 2),
                  "Fn::EachMemberEquals": (2, 2), "Fn::EachMemberIn": (2, 2)}
OF_TESTS, OF_LISTS = {"Fn::And", "Fn::Or", "Fn::Not"}, {"Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn"}
TESTS_IN_CONDITIONS = {"Fn::And": (2, 10), "Fn::Or": (2, 10), "Fn::Not": (1, 1), "Fn::Equals": (2, 2), "Condition": (1, 1)}
VALUES_IN_CONDITIONS = {"Ref", "Fn::FindInMap", "Fn::If", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub"}
PSEUDO = {"AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix", "AWS::NotificationARNs"}
# What CloudFormation reads before it evaluates any function.
LITERAL = ("Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy")
DELETION, REPLACEMENT = {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}, {"Delete", "Retain", "Snapshot"}


def function_of(node):
    """Returns (name, arguments) of a function, (None, node) of anything else."""
    if isinstance(node, dict) and len(node) == 1 and ((name := next(iter(node))).startswith("Fn::") or name in ("Ref", "Condition")):
        return name, node[name]
    return None, node


def is_list(template, node):
    """Returns whether a node is a list or refers to a list parameter."""
    name, argument = function_of(node)
    kind = template.body.get("Parameters", {}).get(argument, {}).get("Type", "") if name == "Ref" else ""
    return isinstance(node, list) or name in ("Fn::RefAll", "Fn::ValueOfAll", "Fn::Split") or kind == "CommaDelimitedList" or kind.startswith("List<")


def refusals(template, node, tests, values, is_test=True):
    """Yields what CloudFormation rejects in an expression of Rules or Conditions, given the supported functions."""
    name, argument = function_of(node)
    parameters = set(template.body.get("Parameters", {}))
    if name is None:
        if is_test or isinstance(node, dict):
            yield f"{node!r} is not a condition" if is_test else f"{node!r} is not a value"
        for inner in node if isinstance(node, list) else ():
            yield from refusals(template, inner, tests, values, is_test=False)
    elif name not in tests and name not in values:
        yield f"{name} is not supported there"
    elif name == "Ref" and argument not in parameters | PSEUDO:
        yield f"{argument} is not a parameter"
    elif is_test and name not in tests:
        yield f"{name} is not a condition"
    elif name in tests and name != "Condition":
        arguments = as_list(argument)
        least, most = tests[name]
        if not least <= len(arguments) <= most:
            yield f"{name} has {len(arguments)} arguments"
        for at, one in enumerate(arguments):
            if name not in OF_TESTS and is_list(template, one) != (name in OF_LISTS and (at == 0 or name == "Fn::EachMemberIn")):
                yield f"{name} compares a list with a text"
            yield from refusals(template, one, tests, values, is_test=name in OF_TESTS)
    elif name in ("Fn::ValueOf", "Fn::ValueOfAll"):
        if not all(isinstance(one, str) for one in as_list(argument)):
            yield f"{name} does not accept functions"
    elif name == "Fn::Sub":
        for one in re.findall(r"\$\{([^!}]+)\}", argument if isinstance(argument, str) else argument[0]):
            if one not in parameters | PSEUDO:
                yield f"{one} is not a parameter"
    elif isinstance(argument, list):
        for one in argument:
            yield from refusals(template, one, tests, values, is_test=False)


@rule
def rules_are_what_cloudformation_evaluates(template):
    for name, one in template.body.get("Rules", {}).items():
        if not one.get("Assertions") or set(one) - {"RuleCondition", "Assertions"}:
            yield f"{name} has no assertions, or other entries"
        for assertion in one.get("Assertions", []):
            if set(assertion) != {"Assert", "AssertDescription"} or not isinstance(assertion["AssertDescription"], str):
                yield f"{name} has an assertion without exactly a condition and a description"
        for node in [assertion.get("Assert") for assertion in one.get("Assertions", [])] + [one[key] for key in ("RuleCondition",) if key in one]:
            for refusal in refusals(template, node, TESTS_IN_RULES, VALUES_IN_RULES):
                yield f"rule {name}: {refusal}"


@rule
def conditions_are_what_cloudformation_evaluates(template):
    for name, one in template.body.get("Conditions", {}).items():
        for refusal in refusals(template, one, TESTS_IN_CONDITIONS, VALUES_IN_CONDITIONS):
            yield f"condition {name}: {refusal}"


@rule
def what_is_read_before_functions_is_literal(template):
    for name, resource in template.resources.items():
        for key in LITERAL:
            if not all(isinstance(one, str) for one in as_list(resource.get(key, ""))):
                yield f"{name} {key} is not literal"
        for key, allowed in (("DeletionPolicy", DELETION), ("UpdateReplacePolicy", REPLACEMENT)):
            if str(resource.get(key, "Delete")) not in allowed:
                yield f"{name} {key} is not one of {sorted(allowed)}"
    for section in ("Parameters", "Mappings", "Description"):
        for node in nodes(template.body.get(section, {})):
            if function_of(node)[0]:
                yield f"{section} has the function {function_of(node)[0]}"
    for name, output in template.body.get("Outputs", {}).items():
        if not all(isinstance(output.get(key, ""), str) for key in ("Description", "Condition")) or is_list(template, output.get("Value")):
            yield f"output {name} is a list, or has a description or condition that is not literal"
        if "{{resolve:" in str(output.get("Value")):
            yield f"output {name} has a dynamic reference"


@rule
def an_index_is_there_whatever_the_parameters_are(template):
    """Fn::Select of an index that a split text doesn't have stops a deployment, even in a branch whose condition is false."""
    for node in nodes(template.body):
        name, argument = function_of(node)
        if name != "Fn::Select" or function_of(argument[1])[0] != "Fn::Split":
            continue
        between, text = function_of(argument[1])[1]
        known = text if isinstance(text, str) else function_of(text)[1] if function_of(text)[0] == "Fn::Sub" else ""
        if not isinstance(known, str) or known.count(between) < int(argument[0]):
            yield f"{text} may have nothing at index {argument[0]} after splitting at {between!r}"
