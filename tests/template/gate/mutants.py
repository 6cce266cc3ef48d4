"""`python -m gate.mutants [PLACE…]`: changes template.yaml in one place at a time and tells of the changes that nothing notices.

By hand, and read by a person: not every survivor is a gap, but each needs a reason. PLACE narrows it, e.g. Resources.EventsQueue.
Each key and list entry is taken out, each value turned round or changed; then the gate judges, and cfn-lint what the gate let pass.
"""

import json
import sys
import time

from cfnlint.api import lint
from cfnlint.config import ManualArgs

from . import RULES
from .template import Template

# Words for people.
WORDS = {"Description", "AlarmDescription", "AssertDescription", "Comment", "Label", "Sid", "PolicyName"}
OPPOSITE = {
    "Allow": "Deny", "Deny": "Allow", "GreaterThanThreshold": "LessThanThreshold", "LessThanThreshold": "GreaterThanThreshold",
    "Sum": "Average", "Maximum": "Minimum", "p99": "p50", "notBreaching": "breaching", "breaching": "notBreaching",
    "Retain": "Delete", "RetainExceptOnCreate": "Delete", "Enabled": "Suspended", "Active": "PassThrough", "https-only": "allow-all",
}
# These have SAM translate the template, which takes seconds.
SLOW = {"no_policies_of_aws", "access_is_as_listed"}


def places(value, path=()):
    """(container, key, path) of everything in the template, below its top."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if key in WORDS:
            continue
        yield value, key, (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


def changed(value):
    """What a value may turn into by a slip or a bad intent."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [other for other in (value * 100 if value else 1, value // 10) if other != value]
    return [OPPOSITE.get(value, f"{value}x")] if isinstance(value, str) else []


def noticed(body, project):
    """The first rule that speaks of it; `crash …` for one that fell over."""
    template = Template(body, project)
    for rule in sorted(RULES, key=lambda rule: rule.__name__ in SLOW):
        try:
            if next(iter(rule(template)), None):
                return rule.__name__
        except Exception as error:  # Whatever it is: the change did not pass.
            return f"crash {rule.__name__} {type(error).__name__}"
    return None


def linted(body, project):
    """What cfn-lint finds in the template and in what SAM makes of it, by check and place."""
    found = []
    for text in (json.dumps(body), json.dumps(Template(body, project).expanded())):
        found += lint(text, config=ManualArgs(regions=["us-east-1"], append_rules=["cfn_lint_serverless.rules"], include_checks=["I"]))
    return {(one.rule.id, str(one.path)) for one in found}


def main(*wanted):
    template = Template.load()
    survivors, count, crashes, start = [], 0, [], time.monotonic()
    known = linted(template.body, template.project)
    for container, key, path in list(places(template.body)):
        name = ".".join(map(str, path))
        if len(path) < 2 or (wanted and not any(name.startswith(one) for one in wanted)):
            continue
        original = container.copy()
        mutants = [("without", None), *(("as", value) for value in changed(container[key]))]
        for how, value in mutants:
            if how == "without":
                del container[key]
            else:
                container[key] = value
            count += 1
            by = noticed(template.body, template.project)
            if by is None and not linted(template.body, template.project) - known:
                survivors.append(f"{name} {how} {value if how == 'as' else ''}".rstrip())
                print(survivors[-1], flush=True)
            elif by and by.startswith("crash"):
                crashes.append(f"{name} {how} {by}")
            container.clear()
            container.update(original) if isinstance(container, dict) else container.extend(original)
    print(f"{count} changes, {len(survivors)} unnoticed, {len(crashes)} by a rule that fell over, {time.monotonic() - start:.0f} s")
    for crash in crashes:
        print("  ", crash)


if __name__ == "__main__":
    main(*sys.argv[1:])
