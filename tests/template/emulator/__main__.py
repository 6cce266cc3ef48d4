"""`python -m emulator [--quick|--debug] [group …]`: invokes each binary with its event files and compares the answers."""

import json
import re
import sys

from gate.api import belongs_to
from gate.template import Template

from .environment import environment_of
from .expected import EXPECTED
from .sandbox import Sandbox

# glibc of provided.al2023: a binary that asks for a newer one doesn't start there.
GLIBC = (2, 34)


def main(arguments):
    debug, quick = "--debug" in arguments, "--quick" in arguments
    wanted = [one for one in arguments if one not in ("--debug", "--quick")]
    template = Template.load()
    groups = {function["CodeUri"].removeprefix("functions/"): name for name, function in template.functions().items()}
    for unknown in sorted(set(wanted) - set(groups)):
        print(f"emulate: {unknown} is no function of the template")
        return 2
    ran, failed = 0, 0
    for group in wanted or groups:
        folder = template.project / "target"
        binary = folder / "debug" / group if debug else folder / ("sam-quick" if quick else "sam") / groups[group] / "bootstrap"
        for path in sorted((template.project / "events").glob("*.json")):
            if belongs_to(path.stem, group, list(groups)):
                problem = run(path, binary, template, groups[group], debug)
                ran, failed = ran + 1, failed + bool(problem)
                print(f"{'FAILED' if problem else 'ok    '} {path.stem}{': ' + problem if problem else ''}")
    print(f"emulate: {ran} events, {failed} failed")
    return 1 if failed or not ran else 0


def run(path, binary, template, name, debug):
    """What is wrong with the function's answer to an event file, or nothing."""
    if not binary.exists():
        return f"{binary} is not built"
    if not debug and (newest := newest_glibc(binary)) > GLIBC:
        return f"needs glibc {newest[0]}.{newest[1]}, the runtime has {GLIBC[0]}.{GLIBC[1]}"
    if path.stem not in EXPECTED:
        return "nothing is expected of it in expected.py"
    function = template.functions()[name]
    event = path.read_bytes()
    log = template.project / "target" / f"emulate-{path.stem}.log"
    answer = b""
    try:
        with Sandbox(binary, environment_of(name, function, template), log) as sandbox:
            answer = sandbox.invoke(event, function["Timeout"] + 10)
        EXPECTED[path.stem](json.loads(answer), json.loads(event))
    except (AssertionError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__} {error}; answer {answer[:500]!r}; see {log}"
    return None


def newest_glibc(binary):
    """The newest glibc whose symbols a binary names, (0, 0) for none."""
    versions = re.findall(rb"\bGLIBC_(\d+)\.(\d+)", binary.read_bytes())
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


sys.exit(main(sys.argv[1:]))
