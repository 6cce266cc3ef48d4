"""`python -m gate`: prints every finding and fails when there is one. `python -m gate expand`: prints what SAM makes of the template.

`python -m gate access`: writes expected_access.toml anew from the template.
"""

import json
import sys

from . import RULES, access, findings
from .template import Template


def main():
    template = Template.load()
    if sys.argv[1:] == ["expand"]:
        print(json.dumps(template.expanded(), indent=1))
        return 0
    if sys.argv[1:] == ["access"]:
        access.write(template)
        return 0
    found = findings(template)
    for finding in found:
        print(finding)
    print(f"gate: {len(RULES)} rules, {len(found)} findings")
    return 1 if found else 0


sys.exit(main())
