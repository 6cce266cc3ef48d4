"""The releases of a stack, in the order in which they ran: what infra/deploy stores of each for infra/roll-back.

The stack's own bucket (output ReleasesBucketName) contains `releases/RELEASE/portal/`, `releases/RELEASE/template` and, written last, one record
for each time a release started to run: `runs/NNNNNN-RELEASE.json`, with the stack's parameters and the number of the portal's files.

    releases.py list RUNS NOW                     lists the releases, oldest first
    releases.py choose RUNS NOW [RELEASE]         prints the release to restore
    releases.py parameters RUNS PARAMETERS RELEASE    prints the parameters of the stack's update to it, for the AWS CLI
    releases.py check RUNS RELEASE PORTAL         fails if a stored portal is incomplete
    releases.py record RUNS PARAMETERS PORTAL [FROM]  writes the record of the current release and prints its name; FROM: the release rolled back
    releases.py at-once TEMPLATE                  removes gradual shifting from a packaged template

NOW is the name of the current release, PARAMETERS a file with the stack's parameters.
"""

import json
import sys
from pathlib import Path

from parameters import OWN, Refused

# Belongs to a release's artifacts, whatever the stack's current value is.
BUILT_FOR = "Architecture"


def read(folder):
    """Returns the records, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))] if folder.exists() else []


def left_by_a_roll_back(runs):
    """Returns the releases that were rolled back to an older one."""
    first, left = {}, set()
    for at, run in enumerate(runs):
        first.setdefault(run["release"], at)
        before = run.get("from")
        if before and first[run["release"]] < first.get(before, len(runs)):
            left.add(before)
        left.discard(run["release"])
    return left


def choose(runs, now, named=None):
    """Returns the given release, or the one that ran before the current one and was not rolled back."""
    kept = [run["release"] for run in runs]
    if named:
        wanted = named if named in kept else None
    elif kept and kept[-1] != now and now in kept:
        wanted = now  # A roll-back to it was interrupted after the functions moved.
    else:
        left, until = left_by_a_roll_back(runs), len(kept) - 1 - kept[::-1].index(now) if now in kept else len(kept)
        wanted = next((one for one in reversed(kept[:until]) if one != now and one not in left), None)
    if wanted is None:
        raise Refused("there is no such release; --list shows the available ones")
    return wanted


def last_of(runs, release):
    return next(run for run in reversed(runs) if run["release"] == release)


def last_given(runs):
    """Returns the parameters of the last deployment and of the roll-backs since, which the running template may lack."""
    values = {}
    for run in runs:
        values = (values if "from" in run else {}) | run["parameters"]
    return {name: value for name, value in values.items() if name not in (OWN, BUILT_FOR)}


def parameters(runs, running, release):
    """Yields the current values of the parameters that the release's template has."""
    for name, then in last_of(runs, release)["parameters"].items():
        value = release if name == OWN else then if name == BUILT_FOR or name not in running else None
        yield {"ParameterKey": name} | ({"UsePreviousValue": True} if value is None else {"ParameterValue": value})


def check(runs, release, portal):
    """Fails if files of a stored portal are missing."""
    found = [path for path in portal.rglob("*") if path.is_file()] if portal.exists() else []
    wanted = last_of(runs, release)["portal"]
    if len(found) != wanted or not (portal / "index.html").is_file():
        raise Refused(f"the stored portal of {release} should have {wanted} files and an index.html, but has {len(found)} files")


def record(folder, running, portal, before):
    """Writes a new record; returns the name of its file."""
    runs = sorted(folder.glob("*.json")) if folder.exists() else []
    name = f"{int(runs[-1].name.split('-')[0]) + 1 if runs else 1:06}-{running[OWN]}.json"
    files = sum(path.is_file() and not path.name.endswith(".d.ts") for path in portal.rglob("*"))
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"release": running[OWN], "portal": files, "parameters": running} | ({"from": before} if before else {})))
    return name


def at_once(packaged):
    """Removes DeploymentPreference from a packaged template (YAML): the aliases then move with the stack's update, and no alarm stops them."""
    kept, below = [], None
    for line in packaged.splitlines(keepends=True):
        depth = len(line) - len(line.lstrip())
        if below is not None and depth > below:
            continue
        below = depth if line.lstrip().startswith("DeploymentPreference:") else None
        if below is None:
            kept.append(line)
    return "".join(kept)


def stack_parameters(path):
    return {one["ParameterKey"]: one["ParameterValue"] for one in json.loads(Path(path).read_text())}


def main(action, path, *arguments):
    folder = Path(path)
    if action == "at-once":
        folder.write_text(at_once(folder.read_text()))
        return
    runs = read(folder)
    if action == "list":
        left = left_by_a_roll_back(runs)
        for one in dict.fromkeys(run["release"] for run in reversed(runs)).__reversed__():
            print(one + (" (current)" if one == arguments[0] else " (rolled back)" if one in left else ""))
    elif action == "choose":
        print(choose(runs, *arguments))
    elif action == "check":
        check(runs, arguments[0], Path(arguments[1]))
    elif action == "parameters":
        print(json.dumps([*parameters(runs, stack_parameters(arguments[0]), arguments[1])]))
    else:
        print(record(folder, stack_parameters(arguments[0]), Path(arguments[1]), arguments[2] if len(arguments) > 2 else None))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as error:
        sys.exit(f"infra: {error}. Nothing was done.")
