"""The emulator ministack, on a free port of the loopback interface, with everything that it starts."""

import os
import signal
import socket
import subprocess
import time
import urllib.request

from gate.template import PROJECT

from .workshop import addresses

READY_WITHIN, GONE_WITHIN = 120, 30


class Ministack:
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.endpoint, self.log = f"http://127.0.0.1:{self.port}", PROJECT / "target/rehearsal.log"
        self.environment = os.environ | {
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.port), "MINISTACK_HOST": "127.0.0.1", **addresses(self.endpoint),
            "LOG_LEVEL": "INFO", "TMPDIR": str(folder), "S3_DATA_DIR": str(folder / "s3"),
        }

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([PROJECT / "target/tools-api/bin/ministack"], env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        ends = time.monotonic() + READY_WITHIN
        while self.process.poll() is None and time.monotonic() < ends:
            try:
                urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).close()
            except OSError:
                time.sleep(0.2)
            else:
                return self
        self.__exit__()
        raise AssertionError(f"the emulator did not start, see {self.log}")

    def __exit__(self, *_):
        """Ends it and the functions that it started, which are in its process group."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)
                self.process.wait(GONE_WITHIN)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
