"""What of workflows the linters don't know: `rules.py WORKFLOW…` says what is wrong."""

import sys
from pathlib import Path

import yaml

# A role without a MaxSessionDuration of its own allows so much.
HOUR = 3600
REVIEWED = "github.ref == 'refs/heads/main' || startsWith(github.ref, 'refs/tags/v')"
RUNBOOK = (Path(__file__).parents[2] / "infra/runbook.md").read_text()


def faults(workflow):
    for name, job in workflow["jobs"].items():
        granted, steps = job.get("permissions", workflow.get("permissions", {})), job["steps"]
        uses = [(step["uses"].split("@")[0], step.get("with", {})) for step in steps if "uses" in step]
        runs = "\n".join(step.get("run", "") for step in steps)
        if "infra/bundle" in runs and "infra/sbom" not in runs:
            yield f"{name} has no bill of materials for its bundle"
        if workflow["name"] == "advisories" and "tests/dependencies advisories" not in runs:
            yield f"{name} does not check advisories"
        # Artifacts of a private repository are read with this alone.
        if "gh run download" in runs and granted.get("actions") != "read":
            yield f"{name} can't read the artifacts of its run"
        if "gh release create" in runs:
            if "infra/release-notes" not in runs:
                yield f"{name} doesn't compare the tag and the version"
            first = workflow["jobs"][workflow["jobs"][job["needs"]].get("needs", job["needs"])]
            if not any("infra/release-notes" in step.get("run", "") for step in first["steps"]):
                yield f"{name}: the tag is compared after everything was built"
        roles = [given for action, given in uses if action == "aws-actions/configure-aws-credentials"]
        if not roles:
            continue
        if job.get("if") != REVIEWED or any("ref" in given for action, given in uses if action == "actions/checkout"):
            yield f"{name} takes a role for what nobody reviewed"
        if job.get("environment") != "${{ inputs.stack }}":
            yield f"{name} is in no environment, by which AWS would know it"
        variables = {"AWS_DEPLOY_ROLE_ARN", "AWS_DEPLOY_ROLE_SECONDS", "STACK_SETTINGS"}
        if unread := sorted(one for one in variables if f"vars.{one}" not in str(job)):
            yield f"{name} doesn't read {unread}"
        for wanted in (*variables, "token.actions.githubusercontent.com:sub", "environment:STACK", "MaxSessionDuration"):
            if wanted not in RUNBOOK:
                yield f"infra/runbook.md does not say {wanted}"
        for given in roles:
            if given.get("role-duration-seconds") != f"${{{{ vars.AWS_DEPLOY_ROLE_SECONDS || {HOUR} }}}}":
                yield f"{name} asks for a session that a role doesn't allow by itself"


found = [f"{path}: {fault}" for path in sys.argv[1:] for fault in faults(yaml.safe_load(Path(path).read_text()))]
sys.exit("\n".join(found) or None)
