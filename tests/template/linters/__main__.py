"""`python -m linters cfn-lint|checkov` fails on every finding that suppressed.toml does not list, and on every planted fault without a finding.

The linters read two templates that `python -m gate expand` wrote: the project's own, and a copy with all of the linters' faults from
gate/planted.yaml. A suppression names the check and its resources, so that new resources are checked. An unused suppression is a finding.
"""

import json
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from gate.__main__ import OURS, PLANTED
from gate.planted import FAULTS
from gate.template import PROJECT


def cfn_lint(templates):
    command = ["tools/bin/cfn-lint", "--include-checks", "I", "--append-rules", "cfn_lint_serverless.rules", "--format", "json", "--"]
    for one in json.loads(run([*command, *templates])):
        path = one["Location"]["Path"] or []
        yield one["Filename"], one["Rule"]["Id"], str(path[1] if len(path) > 1 else path), one["Message"]


def checkov(templates):
    # With these options, checkov calls no platform and downloads no descriptions.
    command = ["tools-checkov/bin/checkov", "--framework", "cloudformation", "--skip-download", "--soft-fail", "--compact", "--quiet", "--output", "json"]
    report = json.loads(run([*command, *(argument for template in templates for argument in ("--file", template))]))
    if report["summary"]["parsing_errors"]:
        raise RuntimeError(f"checkov could not read a template: {report['summary']}")
    for one in report["results"]["failed_checks"]:
        yield one["file_abs_path"], one["check_id"], one["resource"].rsplit(".", 1)[-1], one["check_name"]


def run(command):
    done = subprocess.run([PROJECT / "target" / command[0], *command[1:]], capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise RuntimeError(done.stderr)
    return done.stdout


def main(linter):
    found = list({"cfn-lint": cfn_lint, "checkov": checkov}[linter]([OURS, PLANTED]))
    suppressed = tomllib.loads((Path(__file__).parent / "suppressed.toml").read_text())[linter]
    unused = {(one["check"], pattern) for one in suppressed for pattern in one["resources"]}
    covers, wrong = sorted(unused), []
    for file, check, resource, message in found:
        if file == str(OURS):
            matching = {(own, pattern) for own, pattern in covers if own == check and fnmatchcase(resource, pattern)}
            unused -= matching
            wrong += [] if matching else [f"{check} {resource}: {message}"]
    wrong += [f"{check} {pattern}: this suppression is unused" for check, pattern in sorted(unused)]
    told = [f"{linter} {check} {resource}: {message}" for file, check, resource, message in found if file == str(PLANTED)]
    faults = [fault for fault in FAULTS if fault["by"].startswith(f"{linter} ")]
    wrong += [f"nothing finds the planted {fault}" for fault in faults
              if not any(one.startswith(f"{fault['by']} ") and fault["says"] in one for one in told)]
    print(*wrong, f"{linter}: {len(wrong)} findings, {len(covers)} suppressions, {len(faults)} planted faults", sep="\n")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
