"""Rules that template.yaml keeps beyond what cfn-lint and `sam validate` can see.

A rule is a function of a Template that yields findings; RULES lists all of them. test_gate.py plants the faults of faults/, one or more for each.
"""

from . import access, api, distribution, functions, limits, operations, parameters, permissions, portal, queues, ringing, secrets, shapes, stores, wiring

MODULES = [access, api, distribution, functions, limits, operations, parameters, permissions, portal, queues, ringing, secrets, shapes, stores, wiring]
RULES = [rule for module in MODULES for rule in module.RULES]


def findings(template):
    """All findings of all rules, each as `rule-name: what is wrong`."""
    return [f"{rule.__name__.replace('_', '-')}: {finding}" for rule in RULES for finding in rule(template)]
