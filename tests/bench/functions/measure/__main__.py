"""`python -m measure`: the table. Every figure of a function stands beside the hello's as a multiple of it."""

import argparse
import io
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path

from gate.template import Template

from .calls import call_of, hello_call
from .environment import Surroundings
from .process import Process
from .runtime_api import RuntimeApi


def main():
    arguments = argparse.ArgumentParser(prog="tests/bench/functions/run")
    arguments.add_argument("--binaries", type=Path)
    arguments.add_argument("--starts", type=int, default=21)
    arguments.add_argument("--calls", type=int, default=201)
    arguments.add_argument("groups", nargs="*")
    arguments = arguments.parse_args()
    template = Template.load()
    target = template.project / "target"
    # The shell script has changed the folder; a relative one is the project's.
    binaries = arguments.binaries and template.project / arguments.binaries
    groups = template.groups()
    with tempfile.TemporaryDirectory() as folder:
        surroundings = Surroundings(template, Path(folder))
        hello = measure("hello", (binaries or target / "release") / "hello", {}, hello_call(), arguments)
        print("| Function | Zip, kB | Start to first poll, ms | First call with TLS, ms | Start to first answer, ms | Resident, MB | Warm call, ms | Answer |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        print(row("hello (no TLS)", hello, hello))
        for group in arguments.groups or sorted(groups):
            binary = binaries / group if binaries else target / "sam" / groups[group] / "bootstrap"
            figures = measure(group, binary, surroundings.environment_of(groups[group]), call_of(group, groups[group], template, surroundings), arguments)
            print(row(group, figures, hello), flush=True)


def measure(group, binary, environment, event, arguments):
    """Medians over processes, the warm call's over the last one's calls."""
    if not binary.exists():
        sys.exit(f"{binary} is not built")
    polls, firsts, totals, resident = [], [], [], []
    for start in range(arguments.starts):
        with RuntimeApi() as api, Process(binary, environment, api) as process:
            polls.append(process.milliseconds_to_first_poll())
            first, answer = api.invoke(event)
            firsts.append(first)
            totals.append(polls[-1] + first)
            resident.append(process.resident_megabytes())
            if start == arguments.starts - 1:
                warm = [api.invoke(event)[0] for _ in range(arguments.calls)]
    return {
        "zip": zipped_kilobytes(binary),
        "poll": statistics.median(polls),
        "first": statistics.median(firsts),
        "total": statistics.median(totals),
        "resident": statistics.median(resident),
        "warm": statistics.median(warm),
        "answer": (answer or {}).get("statusCode") or (answer or {}).get("errorType") or "done",
    }


def zipped_kilobytes(binary):
    """As it is uploaded: a zip of one file, compressed as far as deflate goes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.write(binary, "bootstrap")
    return len(archive.getvalue()) / 1000


def row(name, figures, hello):
    def cell(key, digits):
        multiple = "" if figures is hello else f" (×{figures[key] / hello[key]:.1f})"
        return f"{figures[key]:.{digits}f}{multiple}"
    cells = [cell("zip", 0), cell("poll", 1), cell("first", 1), cell("total", 1), cell("resident", 1), cell("warm", 2)]
    return f"| {name} | {' | '.join(cells)} | {figures['answer']} |"


main()
