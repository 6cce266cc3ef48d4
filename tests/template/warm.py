"""A Python interpreter that starts once and forks for each program that it runs. Starting an interpreter each time, and loading what the SAM CLI
or the AWS CLI needs, would take most of the processor time of a test that runs hundreds of programs.

A program is replaced by `stand_in(port)`, which sends its process id to a server. The server reads arguments, variables, folder and files of the
call from /proc. `Warm` is a server that runs Python programs this way; the tests of the scripts have another one, which imitates the AWS CLI.

    warm.py MODULE…     starts the server, prints its port, and ends when standard input closes
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
# Number from which on a stand-in duplicates its standard files, because the shell moves its own
# ones.
FILES = 4


def stand_in(port, program=""):
    """Returns a program that exits with the code that the server at the port returns for it. Also sends `program` to the server."""
    return f"""#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/{port} {FILES}<&0 {FILES + 1}>&1 {FILES + 2}>&2 || exit 125
echo "$$ {program}" >&3
read -r -u 3 code
exit "${{code:-125}}"
"""


class Caller:
    """A stand-in that waits for its exit code."""

    def __init__(self, connection):
        self.connection = connection
        pid, self.program = connection.makefile().readline().rstrip("\n").split(" ", 1)
        self.process = Path("/proc", pid)

    def words(self):
        """Returns its name and arguments, without the shell's."""
        return [os.fsdecode(word) for word in (self.process / "cmdline").read_bytes().split(b"\0")[1:-1]]

    def environment(self):
        return dict(os.fsdecode(one).split("=", 1) for one in (self.process / "environ").read_bytes().split(b"\0") if one)

    def file(self, number):
        """Opens its standard input (0), output (1) or error output (2) again."""
        return os.open(self.process / "fd" / str(FILES + number), os.O_WRONLY if number else os.O_RDONLY)

    def write(self, number, text):
        if text:
            with open(self.file(number), "w") as file:
                file.write(text)

    def end(self, code):
        self.connection.sendall(f"{code}\n".encode())


class Warm:
    """A server in its own process, one per interpreter. `close` ends it."""

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
    """Does what `python ARGUMENT…` does; returns its exit code."""
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
    """Runs a program in this process and ends it. `own` are the variables that the loaded modules set."""
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
    # Forked processes share what is loaded and end soon; a garbage collection would copy it.
    gc.disable()
    with socket.create_server(LISTEN) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = server.accept()
            # Reaping ended processes adds their processor time to this process's children's.
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
            if os.fork() == 0:
                server.close()
                run_for(Caller(connection), own)
            connection.close()


if __name__ == "__main__":
    serve(sys.argv[1:])
