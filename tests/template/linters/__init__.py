"""cfn-lint (with AWS's serverless rules) and checkov: what they find beyond what suppressed.toml lists with its reason.

A suppression names the check and the resources it is for, so that a new resource is looked at anew. One that suppresses
nothing any more is a finding itself.
"""

import json
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

SUPPRESSED = Path(__file__).parent / "suppressed.toml"
PROJECT = Path(__file__).resolve().parents[3]
TOOLS = PROJECT / "target"


def suppressions(linter):
    return tomllib.loads(SUPPRESSED.read_text())[linter]


def judge(found, suppressed):
    """The findings, (check, resource, message) each, that no suppression covers, and the suppressions that cover none."""
    covers = {(one["check"], pattern): False for one in suppressed for pattern in one["resources"]}
    for check, resource, message in found:
        matching = [(own, pattern) for own, pattern in covers if own == check and fnmatchcase(resource, pattern)]
        covers |= dict.fromkeys(matching, True)
        if not matching:
            yield f"{check} {resource}: {message}"
    for check, pattern in (one for one, used in covers.items() if not used):
        yield f"{check} {pattern}: this suppression is not needed any more"


def cfn_lint(template):
    command = [TOOLS / "tools/bin/cfn-lint", "--include-checks", "I", "--append-rules", "cfn_lint_serverless.rules", "--format", "json", "--template"]
    output = run([*command, template])
    for one in json.loads(output or "[]"):
        path = one["Location"]["Path"] or []
        yield one["Rule"]["Id"], str(path[1] if len(path) > 1 else template), f"{one['Message']} (line {one['Location']['Start']['LineNumber']})"


def checkov(template):
    # Nothing is asked of anybody: no platform, no download of descriptions.
    command = [TOOLS / "tools-checkov/bin/checkov", "--framework", "cloudformation", "--skip-download", "--soft-fail", "--compact", "--quiet", "--output", "json"]
    report = json.loads(run([*command, "--file", template]))
    summary = report.get("summary", report)
    if not summary["passed"] + summary["failed"] or summary["parsing_errors"]:
        raise RuntimeError(f"checkov could not read {template}: {summary}")
    for one in report["results"]["failed_checks"]:
        yield one["check_id"], one["resource"].rsplit(".", 1)[-1], one["check_name"]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr.strip() and not done.stdout.strip():
        raise RuntimeError(done.stderr)
    return done.stdout


LINTERS = {"cfn-lint": cfn_lint, "checkov": checkov}
