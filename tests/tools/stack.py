"""A local stack for tests that call the API from outside: its own data, its own port, ended with the `with` block."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).absolute()
# More than anything takes on a machine that has many other things to do.
SLOWEST = 180


class Stack:
    """`base` is its address and `demo` the content of demo.json. If the block fails, or says so by `failed`, its logs are kept.

    `TEST_STACK_PROGRAM` names a stack's program that is built already; otherwise it is built.
    """

    def __init__(self, name: str, *options: str):
        self.name, self.options, self.failed = name, options, False

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix=f"{self.name}-")
        self.folder = pathlib.Path(self.temporary.name)
        found = subprocess.run([PROJECT / "tests/tools/stack-program"], check=True, stdout=subprocess.PIPE, text=True)
        program = pathlib.Path(found.stdout.strip())
        arguments = [program, "--port", "0", "--data-dir", self.folder / "data", *self.options]
        with (self.folder / "stack.log").open("wb") as log:
            self.process = subprocess.Popen(arguments, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.base = self.wait()
            self.demo = json.loads((self.folder / "data" / "demo.json").read_text())
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        self.process.terminate()
        try:
            self.process.wait(SLOWEST)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind or self.failed:
            self.keep_logs()
        self.temporary.cleanup()

    def wait(self) -> str:
        """Returns the address, once the stack is healthy."""
        until = time.monotonic() + SLOWEST
        while time.monotonic() < until and self.process.poll() is None:
            try:
                base = json.loads((self.folder / "data" / "stack.json").read_text())["baseUrl"]
                with urllib.request.urlopen(base + "/v1/health", timeout=SLOWEST) as answer:
                    if answer.status == 200 and (self.folder / "data" / "demo.json").exists():
                        return base
            except (OSError, ValueError):
                pass
            time.sleep(0.1)
        sys.exit("the stack did not start")

    def keep_logs(self) -> None:
        """Keeps what the stack and its functions wrote, for whoever looks for the cause of a failure."""
        kept = TARGET / "test-logs" / self.name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for log in [self.folder / "stack.log", *(self.folder / "data" / "logs").glob("*")]:
            shutil.copy(log, kept)
        print(f"logs: {kept}", file=sys.stderr, flush=True)


def call(base: str, path: str, headers: dict, body: dict | None = None, method: str | None = None) -> dict:
    """Returns the JSON of a successful response."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(base + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=SLOWEST) as answer:
        return json.load(answer)
