"""One function's binary under aws-lambda-rie."""

import contextlib
import os
import platform
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import samcli

INVOKE = "/2015-03-31/functions/function/invocations"


def emulator():
    machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    path = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    path.chmod(0o755)
    return path


class Sandbox:
    """Starts the emulator on free loopback ports; leaving the `with` block ends it and its processes."""

    def __init__(self, binary, environment, log):
        self.binary, self.environment, self.log = binary, environment, log

    def __enter__(self):
        self.port, runtime_port = free_port(), free_port()
        self.output = open(self.log, "wb")
        self.process = subprocess.Popen(
            [emulator(), "--log-level", "warn", "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}",
             "--runtime-api-address", f"127.0.0.1:{runtime_port}", str(self.binary)],
            env=self.environment, stdout=self.output, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        # The function has its own process group and would outlive the emulator if it hung.
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        started = [int(pid) for one in children for pid in one.read_text().split()]
        self.process.kill()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.output.close()

    def invoke(self, event, seconds):
        """Returns the response's bytes. `seconds` limits the whole invocation, including the start of the function."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{INVOKE}", data=event, headers={"Content-Type": "application/json"})
        deadline = time.monotonic() + seconds
        while True:
            try:
                return urllib.request.urlopen(request, timeout=seconds).read()
            except urllib.error.HTTPError as refusal:
                return refusal.read()
            except urllib.error.URLError as error:
                # The emulator may not listen yet.
                if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
