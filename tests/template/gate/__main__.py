"""`python -m gate` prints every finding and fails if there is one. `python -m gate expand` prints the template as SAM expands it."""

import json
import sys

from . import findings
from .template import Template


def main(command=None):
    template = Template.load()
    if command == "expand":
        print(json.dumps(template.expanded(), indent=1))
        return 0
    found = findings(template)
    told = [f"{rule}: {finding}" for rule, own in found.items() for finding in own]
    print(*told, f"gate: {len(found)} rules, {len(told)} findings", sep="\n")
    return 1 if told else 0


sys.exit(main(*sys.argv[1:]))
