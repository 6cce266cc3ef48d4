"""The rules: words, line width, file length and function length. Each yields `Fault`s."""

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import text as texts

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
# Patterns and encoded data have no place to break.
UNBREAKABLE = re.compile(r"\S{60}")
CODE_WIDTH = 110  # `max_width` of rustfmt.toml
COMMENT_WIDTH = 100
FILE_LINES = 400
FUNCTION_LINES = 70
# Made by programs, or written by others.
FOREIGN = ["infra/portal/vendor/*", "infra/portal/docs/*", "*.lock", "*package-lock.json", "*.pem", "*.svg", "*.sha256", "tests/reference/*.json"]


@dataclass(frozen=True)
class Fault:
    path: str
    line: int
    says: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.says}"


def matches(path, globs):
    return any(fnmatch(path, glob) for glob in globs.split())


class Words:
    """The rules of words.toml."""

    def __init__(self, source=HERE / "words.toml"):
        read = tomllib.loads(Path(source).read_text())
        self.words, self.allowed = read["word"], read["allowed"]
        for word in self.words:
            flags = re.IGNORECASE if word["in"] == "prose" else 0
            word["compiled"] = re.compile(rf"(?<![\w-])(?:{word['pattern']})(?:(?<!\w)|(?!\w))", flags)
        # Allowances that were needed; others have to go.
        self.used = set()

    def faults(self, path, text):
        words = [word for word in self.words if matches(path, word.get("files", "*"))]
        sides = {side: [word for word in words if word["in"] == side] for side in ("code", "prose")}
        # One search for all: most text has nothing.
        any_of = {side: re.compile("|".join(word["compiled"].pattern for word in some), some[0]["compiled"].flags) for side, some in sides.items()}
        for span in texts.spans(path, text):
            side = "code" if span.kind == "code" else "prose"
            plain, original = texts.sentences(span)
            if path.endswith(".json"):
                # Partners' texts quote code in backticks.
                plain, original = span.text, int
            if not any_of[side].search(plain):
                continue
            for word in sides[side]:
                for match in word["compiled"].finditer(plain):
                    line = text.count("\n", 0, span.offset + original(match.start())) + 1
                    around = plain[max(0, match.start() - 60) : match.end() + 60]
                    if not self.is_allowed(path, around):
                        yield Fault(path, line, f"“{match[0]}”: {word['instead']} (tests/house/words.toml)")

    def is_allowed(self, path, around):
        for number, allowed in enumerate(self.allowed):
            if matches(path, allowed["files"]) and re.search(allowed["pattern"], around):
                self.used.add(number)
                return True
        return False

    def unused(self):
        return [allowed for number, allowed in enumerate(self.allowed) if number not in self.used]


def width(path, text):
    """Lines of Rust that are too long. A comment of a single word, such as an address, and tables may pass the limit."""
    if not path.endswith(".rs"):
        return
    for number, line in enumerate(text.split("\n"), 1):
        comment = re.match(r"\s*//[/!]?\s*(.*)", line)
        if comment and len(line) > COMMENT_WIDTH and " " in comment[1] and not comment[1].startswith("|"):
            yield Fault(path, number, f"a comment of {len(line)} columns; {COMMENT_WIDTH} at most")
        elif not comment and len(line) > CODE_WIDTH and not UNBREAKABLE.search(line):
            yield Fault(path, number, f"a line of {len(line)} columns; {CODE_WIDTH} at most")


def functions(text):
    """Yields name, first line and length of each function of a Rust file that rustfmt has formatted.

    The length is what clippy counts: lines between the first and the last that are neither empty nor only a comment.
    """
    lines = text.split("\n")
    code = "".join(
        re.sub(r"[^\n]", " ", span.text) if span.kind != "code" else span.text for span in texts.rust(text)
    ).split("\n")
    for first, line in enumerate(code):
        head = re.match(r"( *)(?:pub(?:\([a-z ]+\))? )?(?:const |async |unsafe )*fn (\w+)", line)
        if not head or line.rstrip().endswith((";", "}")):
            continue
        end = head[1] + "}"
        for last in range(first + 1, len(code)):
            if code[last].rstrip() == end:
                body = (one.strip() for one in lines[first + 1 : last])
                yield head[2], first + 1, sum(bool(one) and not one.startswith("//") for one in body)
                break
            if code[last].startswith(head[1] + "fn ") or code[last].rstrip() == head[1] + ";":
                break


def lengths(path, text, exceptions):
    """Files and functions of Rust that are too long. `exceptions` are those of exceptions.toml."""
    if not path.endswith(".rs"):
        return
    lines = text.count("\n")
    if allowed := exceptions.get(path):
        if lines <= FILE_LINES:
            yield Fault(path, lines, f"{lines} lines: its exception in exceptions.toml can go")
    if lines > (allowed or FILE_LINES):
        yield Fault(path, lines, f"{lines} lines; {allowed or FILE_LINES} at most: split it by what it does")
    for name, first, count in functions(text):
        allowed = exceptions.get(f"{path}: {name}")
        if allowed and count <= FUNCTION_LINES:
            yield Fault(path, first, f"{name} has {count} lines: its exception in exceptions.toml can go")
        if count > (allowed or FUNCTION_LINES):
            yield Fault(path, first, f"{name} has {count} lines; {allowed or FUNCTION_LINES} at most")


def exceptions(source=HERE / "exceptions.toml"):
    """Maps a file, or "file: function", to the lines that it may have."""
    return {one["what"]: one["lines"] for one in tomllib.loads(Path(source).read_text())["long"]}
