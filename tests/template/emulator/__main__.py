"""`python -m emulator [--quick] [group …]`: invokes each binary with its event files and checks the responses."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor

from gate.template import Template

from .environment import environment_of
from .expected import EXPECTED
from .sandbox import Sandbox

# The glibc of provided.al2023. A binary that requires a newer one doesn't start there.
GLIBC = (2, 34)


def main(arguments):
    template = Template.load()
    quick = "--quick" in arguments
    groups, wanted = template.groups(), [one for one in arguments if one != "--quick"]
    if unknown := sorted(set(wanted) - set(groups)):
        print(f"emulate: the template has no {', '.join(unknown)}")
        return 2

    def problem_of(event):
        path, group = event
        binary = template.project / "target" / ("sam-quick" if quick else "sam") / groups[group] / "bootstrap"
        return run(path, binary, template, groups[group], quick)

    events = [(path, group) for path, group in template.event_files() if group in (wanted or groups)]
    failed = 0
    # An invocation mostly waits for missing stores.
    with ThreadPoolExecutor(max_workers=4) as threads:
        for (path, _), problem in zip(events, threads.map(problem_of, events), strict=True):
            failed += bool(problem)
            print(f"{'FAILED' if problem else 'ok    '} {path.stem}{': ' + problem if problem else ''}")
    print(f"emulate: {len(events)} events, {failed} failed")
    return 1 if failed or not events else 0


def run(path, binary, template, name, quick):
    """Returns what is wrong with the function's response to an event file, or None."""
    if not binary.exists():
        return f"{binary} is not built"
    if not quick and (newest := newest_glibc(binary)) > GLIBC:
        return f"needs glibc {newest}, the runtime has {GLIBC}"
    if path.stem not in EXPECTED:
        return "expected.py has no entry for it"
    event, seconds = path.read_bytes(), template.functions()[name]["Timeout"] + 120
    log = template.project / "target" / f"emulate-{path.stem}.log"
    answer = b""
    try:
        with Sandbox(binary, environment_of(name, template), log) as sandbox:
            answer = sandbox.invoke(event, seconds)
        EXPECTED[path.stem](json.loads(answer), json.loads(event))
    except (AssertionError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__} {error}; answer {answer[:500]!r}; see {log}"
    return None


def newest_glibc(binary):
    """Returns the newest glibc version that a binary requires, or (0, 0)."""
    versions = re.findall(rb"\bGLIBC_(\d+)\.(\d+)", binary.read_bytes())
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


sys.exit(main(sys.argv[1:]))
