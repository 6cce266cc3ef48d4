"""An interpreter that is started once and forks for each program that it runs: to start one for each, and to let it load what the SAM CLI or the
AWS CLI needs, takes most of the processor time of a test that runs hundreds.

In place of a program lies `stand_in(port)`, which tells a server who it is. The server finds in /proc what it was called with: arguments, variables,
folder and files. `Warm` is a server that runs Python's programs so; the tests of the scripts have another, which answers for the AWS CLI.

    warm.py MODULE…     the server, on standard output its port; ends with its standard input
"""

import contextlib
import gc
import importlib
import os
import runpy
import select
import socket
import subprocess
import sys
import traceback
from pathlib import Path

LISTEN = ("127.0.0.1", 0)
# A stand-in has its standard files there, too: the shell moves those of its own while it speaks to the server.
FILES = 4


def stand_in(port, program=""):
    """A program's text: ends with the code that the server at the port answers for it. `program` is told to the server, too."""
    return f"""#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port} {FILES}<&0 {FILES + 1}>&1 {FILES + 2}>&2 || exit 125
echo "$$ {program}" >&3
read -r -u 3 code
exit "${{code:-125}}"
"""


class Caller:
    """A stand-in that waits for its code."""

    def __init__(self, connection):
        self.connection = connection
        pid, self.program = connection.makefile().readline().rstrip("\n").split(" ", 1)
        self.process = Path("/proc", pid)

    def words(self):
        """Its name and its arguments, without the shell's."""
        return [os.fsdecode(word) for word in (self.process / "cmdline").read_bytes().split(b"\0")[1:-1]]

    def environment(self):
        return dict(os.fsdecode(one).split("=", 1) for one in (self.process / "environ").read_bytes().split(b"\0") if one)

    def file(self, number):
        """Its standard input (0), output (1) or error output (2), opened anew."""
        return os.open(self.process / "fd" / str(FILES + number), os.O_WRONLY if number else os.O_RDONLY)

    def write(self, number, text):
        if text:
            with open(self.file(number), "w") as file:
                file.write(text)

    def end(self, code):
        self.connection.sendall(f"{code}\n".encode())


class Warm:
    """A server in a process of its own, of which each interpreter has one. It is ended by `close`."""

    def __init__(self, *modules, interpreter=sys.executable, environment=None):
        self.process = subprocess.Popen([interpreter, __file__, *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        told = self.process.stdout.readline()
        if not told:
            raise AssertionError(f"{interpreter} has not all of {', '.join(modules)}")
        self.port = int(told)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def run(arguments):
    """What `python ARGUMENT…` does; its exit code."""
    sys.argv = arguments
    try:
        if arguments[0] == "-c":
            sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
        elif arguments[0] == "-m":
            sys.argv, sys.path[0] = arguments[1:], os.getcwd()
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(Path(arguments[0]).resolve().parent)
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, int) or ended.code is None:
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 as the interpreter does
        traceback.print_exc()
        return 1
    return 0


def run_for(caller, own):
    """In a process of its own, which ends. `own` are the variables that its modules have set."""
    words, environment = caller.words()[1:], caller.environment()
    os.chdir(caller.process / "cwd")
    for number in range(3):
        file = caller.file(number)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(own | environment)
    code = run([caller.program, *words] if caller.program else words)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    caller.end(code)
    os._exit(0)


def serve(modules):
    before = dict(os.environ)
    for name in modules:
        importlib.import_module(name)
    own = {name: value for name, value in os.environ.items() if before.get(name) != value}
    # What is loaded is shared by all, which end soon: a collection of garbage would copy it.
    gc.disable()
    with socket.create_server(LISTEN) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = server.accept()
            # The processor time of those that have ended is then this process's children's.
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
            if os.fork() == 0:
                server.close()
                run_for(Caller(connection), own)
            connection.close()


if __name__ == "__main__":
    serve(sys.argv[1:])
