"""Rules for template.yaml about what cfn-lint and checkov can't check: permissions, exposure, wiring, encryption, visibility, secrets,
and what CloudFormation and the services reject although no linter does.

A rule is a function that takes a Template and yields findings. planted.yaml has faults that each rule must find.
"""

# A rule is here only if no linter and no test of the stack finds the fault. It repeats no limits,
# defaults or single permissions of the template: every change had to be made twice then.
RULES = []


def rule(check):
    RULES.append(check)
    return check


def findings(template):
    """Returns rule → findings."""
    return {check.__name__.replace("_", "-"): list(check(template)) for check in RULES}


from . import encryption, exposure, language, limits, permissions, portal, secrets, visibility, wiring  # noqa: E402, F401 they register their rules in RULES
