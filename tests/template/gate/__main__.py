"""`python -m gate` prints every finding and fails if there is one. `python -m gate expand` writes what the linters read."""

import copy
import json
import sys

from . import findings
from .planted import FAULTS, plant
from .template import PROJECT, Template

OURS, PLANTED = PROJECT / "target/expanded-template.json", PROJECT / "target/planted-template.json"


def expand(template):
    """Writes the template as SAM expands it, and a copy with all faults that the linters must find."""
    planted = Template(copy.deepcopy(template.body))
    for fault in FAULTS:
        if fault["by"].startswith(("cfn-lint ", "checkov ")):
            plant(fault, planted.body, PROJECT)
    for path, one in ((OURS, template), (PLANTED, planted)):
        expanded = one.expanded()
        # SAM generates the API's body from the routes. No check reads it, but checkov spends two
        # thirds of its time on it.
        expanded["Resources"]["Api"]["Properties"]["Body"] = {}
        path.write_text(json.dumps(expanded, indent=1))


def report(template):
    found = findings(template)
    told = [f"{rule}: {finding}" for rule, own in found.items() for finding in own]
    print(*told, f"gate: {len(found)} rules, {len(told)} findings", sep="\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(expand(Template.load()) if sys.argv[1:] == ["expand"] else report(Template.load()))
