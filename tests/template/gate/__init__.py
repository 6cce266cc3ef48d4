"""Rules that template.yaml keeps beyond what cfn-lint and `sam validate` can see.

A rule is a function of a Template that yields findings; RULES lists all of them. test_gate.py plants the faults of faults/, one or more for each.
"""

from . import access, api, functions, operations, permissions, portal, queues, ringing, secrets, shapes, stores

RULES = [*access.RULES, *api.RULES, *functions.RULES, *operations.RULES, *permissions.RULES, *portal.RULES, *queues.RULES, *ringing.RULES, *secrets.RULES, *shapes.RULES, *stores.RULES]


def findings(template):
    """All findings of all rules, each as `rule-name: what is wrong`."""
    return [f"{rule.__name__.replace('_', '-')}: {finding}" for rule in RULES for finding in rule(template)]
