"""`python -m emulator [--quick|--debug] [group …]`: invokes each binary with its event files and checks the answers."""

import json
import re
import sys

from gate.template import Template

from .environment import environment_of
from .expected import EXPECTED
from .sandbox import Sandbox

# The glibc of provided.al2023. A binary that asks for a newer one doesn't start there.
GLIBC = (2, 34)


def main(arguments):
    template = Template.load()
    built = next((one.removeprefix("--") for one in arguments if one in ("--debug", "--quick")), "")
    groups, wanted = template.groups(), [one for one in arguments if not one.startswith("--")]
    if unknown := sorted(set(wanted) - set(groups)):
        print(f"emulate: the template has no {', '.join(unknown)}")
        return 2
    ran, failed = 0, 0
    for path, group in template.event_files():
        if group in (wanted or groups):
            name = groups[group]
            folder = {"debug": f"debug/{group}", "quick": f"sam-quick/{name}/bootstrap"}.get(built, f"sam/{name}/bootstrap")
            problem = run(path, template.project / "target" / folder, template, name, built == "debug")
            ran, failed = ran + 1, failed + bool(problem)
            print(f"{'FAILED' if problem else 'ok    '} {path.stem}{': ' + problem if problem else ''}")
    print(f"emulate: {ran} events, {failed} failed")
    return 1 if failed or not ran else 0


def run(path, binary, template, name, debug):
    """What is wrong with the function's answer to an event file, or nothing."""
    if not binary.exists():
        return f"{binary} is not built"
    if not debug and (newest := newest_glibc(binary)) > GLIBC:
        return f"needs glibc {newest}, the runtime has {GLIBC}"
    if path.stem not in EXPECTED:
        return "expected.py has no entry for it"
    event, seconds = path.read_bytes(), template.functions()[name]["Timeout"] + 10
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
    """The newest glibc whose symbols a binary names, or (0, 0)."""
    versions = re.findall(rb"\bGLIBC_(\d+)\.(\d+)", binary.read_bytes())
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


sys.exit(main(sys.argv[1:]))
