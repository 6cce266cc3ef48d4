"""`python -m rehearsal PROGRAM`: prints each step; the first failure ends it with its reason."""

import sys
import tempfile
import time
from pathlib import Path

from gate.template import Template

from .deployment import Deployment
from .ministack import Ministack
from .operation import Operation
from .workshop import Workshop


def main(program):
    with (tempfile.TemporaryDirectory(prefix="rehearsal-") as folder, Ministack(Path(folder)) as emulator,
          Workshop(Path(folder), emulator.endpoint, program) as workshop):
        deployment = Deployment(workshop, Template.load())
        operation = Operation(workshop)
        for step in [*deployment.steps(), *operation.steps()]:
            began = time.monotonic()
            try:
                told = step()
            except Exception as error:  # noqa: BLE001 any error is a failure of the step
                print(f"FAILED {step.__doc__} ({time.monotonic() - began:.0f} s)", "End of the emulator's log:",
                      *emulator.log.read_text(errors="replace").splitlines()[-15:], f"{type(error).__name__} {error}", sep="\n")
                return 1
            print(f"ok     {step.__doc__} ({time.monotonic() - began:.0f} s)", *(told or []), sep="\n         ", flush=True)
    return 0


sys.exit(main(sys.argv[1]))
