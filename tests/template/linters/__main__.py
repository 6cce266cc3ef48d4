"""`python -m linters cfn-lint|checkov TEMPLATE…`: prints every finding that is not suppressed and fails when there is one."""

import sys

from . import LINTERS, judge, suppressions


def main(linter, *templates):
    found = [finding for template in templates for finding in LINTERS[linter](template)]
    left = list(judge(found, suppressions(linter)))
    for finding in left:
        print(finding)
    print(f"{linter}: {len(left)} findings, {len(found) - len(left)} suppressed with their reasons")
    return 1 if left else 0


sys.exit(main(*sys.argv[1:]))
