"""One process of a function."""

import subprocess
import time
from pathlib import Path


class Process:
    """Started at once; leaving the `with` block ends it."""

    def __init__(self, binary, environment, api):
        self.api = api
        variables = environment | {"AWS_LAMBDA_RUNTIME_API": api.address}
        variables.setdefault("AWS_LAMBDA_FUNCTION_NAME", "hello")
        variables.setdefault("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        variables.setdefault("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        self.began = time.perf_counter()
        self.process = subprocess.Popen([binary], env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def milliseconds_to_first_poll(self):
        """From before the process was forked."""
        return (self.api.wait_until_ready(self.process) - self.began) * 1000

    def resident_megabytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024
