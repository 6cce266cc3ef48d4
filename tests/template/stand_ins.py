"""Stand-ins for the AWS CLI, SAM and cargo in the tests of the scripts in infra/: record each call, return the response that a test specifies,
and imitate as much of S3 as the scripts need."""

import fnmatch
import socket
import threading
import traceback
from pathlib import Path

import warm


class StandIns:
    """`answers`: (words, [(code, output, error) …]). A call gets the first entry whose words it all contains; of several responses, the next one each
    time. A call without a matching entry succeeds without output."""

    def __init__(self):
        self.answers, self.calls, self.s3, self.seen = [], [], None, lambda words: None
        self.server = socket.create_server(warm.LISTEN)
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()

    def begin(self, answers):
        self.answers, self.calls = answers, []

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            # Closing the connection ends the caller, whatever goes wrong here.
            with connection:
                try:
                    self.serve_one(warm.Caller(connection))
                except Exception:  # noqa: BLE001 the thread has to go on
                    traceback.print_exc()

    def serve_one(self, caller):
        path, *words = caller.words()
        code, output, error = self.answer([Path(path).name, *words], caller.environment())
        caller.write(1, output)
        caller.write(2, error)
        caller.end(code)

    def answer(self, words, environment):
        line = " ".join(words)
        before = [call["line"] for call in self.calls]
        self.calls.append({"line": line, "environment": {key: value for key, value in environment.items() if key.startswith("AWS_")}})
        self.seen(words)
        for wanted, answers in self.answers:
            if all(word in line for word in wanted):
                return answers[min(sum(all(word in call for word in wanted) for call in before), len(answers) - 1)]
        return self.copied(*words[2:]) if line.startswith("aws s3 ") else (0, "", "")

    def below(self, name):
        root = self.s3 / name.removeprefix("s3://") if name.startswith("s3://") else Path(name)
        return root, sorted(path for path in root.rglob("*") if path.is_file())

    def copied(self, action, *words):
        """Imitates `aws s3`. Like the AWS CLI, `sync` skips files that seem unchanged."""
        excluded = [words[at + 1] for at, word in enumerate(words) if word == "--exclude"]
        source, target = [word for at, word in enumerate(words)
                          if not word.startswith("--") and words[at - 1] not in ("--exclude", "--content-type")]
        root, files = self.below(source)
        to = self.below(target)[0]
        only = None
        if action == "cp" and "--recursive" not in words:
            if not root.is_file():
                return 1, "", f"fatal error: {source} does not exist\n"
            files, only = [root], to

        def is_excluded(name):
            return any(fnmatch.fnmatch(name, one) for one in excluded)

        for path in files:
            name = path.relative_to(root).as_posix()
            if is_excluded(name):
                continue
            copy = only or to / name
            if action == "sync" and copy.exists() and copy.stat().st_size == path.stat().st_size and copy.stat().st_mtime >= path.stat().st_mtime:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        if "--delete" in words:
            for path in self.below(target)[1]:
                name = path.relative_to(to).as_posix()
                if not (root / name).exists() and not is_excluded(name):
                    path.unlink()
        return 0, "", ""
