"""The releases of a stack, in the order in which they ran: what infra/deploy keeps of each and infra/roll-back takes.

The stack's own bucket (output ReleasesBucketName) has `releases/RELEASE/portal/` and `releases/RELEASE/template`, and, written last, one record
for each time that a release began to run: `runs/NNNNNN-RELEASE.json` with the stack's parameters and the number of the portal's files.

    releases.py list RUNS NOW                     which there are, oldest first
    releases.py choose RUNS NOW [RELEASE]         the release to go back to
    releases.py parameters RUNS PARAMETERS RELEASE    those of the stack's update to it, for the AWS CLI
    releases.py check RUNS RELEASE PORTAL         whether a kept portal is whole
    releases.py record RUNS PARAMETERS PORTAL [FROM]  writes the record of what runs now, and prints its name; FROM: what a roll-back left
    releases.py at-once TEMPLATE                  takes gradual shifting out of a packaged template

NOW is the name of the release that runs, PARAMETERS a file with the stack's.
"""

import json
import sys
from pathlib import Path

from parameters import OWN, Refused

# Belongs to the artifacts of a release, whatever the stack's is now.
BUILT_FOR = "Architecture"


def read(folder):
    """The records, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))] if folder.exists() else []


def left_by_a_roll_back(runs):
    """Releases that an older one took the place of."""
    first, left = {}, set()
    for at, run in enumerate(runs):
        first.setdefault(run["release"], at)
        before = run.get("from")
        if before and first[run["release"]] < first.get(before, len(runs)):
            left.add(before)
        left.discard(run["release"])
    return left


def choose(runs, now, named=None):
    """The release named, else the one that ran before that of now and that no roll-back left."""
    kept = [run["release"] for run in runs]
    if named:
        wanted = named if named in kept else None
    elif kept and kept[-1] != now and now in kept:
        wanted = now  # A roll-back to it was cut off after the functions moved.
    else:
        left, until = left_by_a_roll_back(runs), len(kept) - 1 - kept[::-1].index(now) if now in kept else len(kept)
        wanted = next((one for one in reversed(kept[:until]) if one != now and one not in left), None)
    if wanted is None:
        raise Refused("there is no such release; --list says which there are")
    return wanted


def last_of(runs, release):
    return next(run for run in reversed(runs) if run["release"] == release)


def last_given(runs):
    """Parameters of the last deployment, and of the roll-backs since: the running template need not have them all."""
    values = {}
    for run in runs:
        values = (values if "from" in run else {}) | run["parameters"]
    return {name: value for name, value in values.items() if name not in (OWN, BUILT_FOR)}


def parameters(runs, running, release):
    """Values of now, for the parameters that the release's template has."""
    for name, then in last_of(runs, release)["parameters"].items():
        value = release if name == OWN else then if name == BUILT_FOR or name not in running else None
        yield {"ParameterKey": name} | ({"UsePreviousValue": True} if value is None else {"ParameterValue": value})


def check(runs, release, portal):
    """Refuses a kept portal from which files are missing."""
    found = [path for path in portal.rglob("*") if path.is_file()] if portal.exists() else []
    wanted = last_of(runs, release)["portal"]
    if len(found) != wanted or not (portal / "index.html").is_file():
        raise Refused(f"the portal of {release} was kept as {wanted} files, of which {len(found)} are there")


def record(folder, running, portal, before):
    """The name of a new record's file."""
    runs = sorted(folder.glob("*.json")) if folder.exists() else []
    name = f"{int(runs[-1].name.split('-')[0]) + 1 if runs else 1:06}-{running[OWN]}.json"
    files = sum(path.is_file() and not path.name.endswith(".d.ts") for path in portal.rglob("*"))
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"release": running[OWN], "portal": files, "parameters": running} | ({"from": before} if before else {})))
    return name


def at_once(packaged):
    """A packaged template (YAML) without its DeploymentPreference: the aliases then move with the stack's update, and nothing stops it."""
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
            print(one + (" (runs now)" if one == arguments[0] else " (left by a roll-back)" if one in left else ""))
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
