"""Splits files into what a person reads (prose) and what a compiler reads (code)."""

import bisect
import re
from dataclasses import dataclass

RUST = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<string>\b[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)|(?:\b[bc])?"(?:\\.|[^"\\])*")
    |b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])'""",
    re.S | re.X,
)
# The markers before each line of a comment, list or quotation; a sentence goes on behind them.
MARKER = re.compile(r"\n[ \t]*(?://[/!]?|\#+|\*|--|>)?[ \t]*(?=\S)")
PARAGRAPH = re.compile(r"\n[ \t]*(?://[/!]?|\#)?[ \t]*(?=\n)")
BACKTICKS = re.compile(r"`[^`\n]*`")
FENCE = re.compile(r"^```.*?^```", re.S | re.M)


@dataclass
class Span:
    """A piece of a file, with the offset of its first character."""

    offset: int
    text: str
    kind: str  # "comment", "string", "prose" or "code"


def blank(text, pattern):
    """Replaces each match by as many spaces, so that offsets stay."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def rust(text):
    """Returns the comments, strings and code of a Rust file. Adjacent line comments are one span."""
    found = []
    end = 0
    for match in RUST.finditer(text):
        kind = "comment" if match["comment"] else "string" if match["string"] else None
        if not kind:
            continue
        between = text[end : match.start()]
        if kind == "comment" and found and found[-1].kind == "comment" and re.fullmatch(r"\n[ \t]*", between):
            found[-1].text += between + match[0]
        else:
            found += [Span(end, between, "code"), Span(match.start(), match[0], kind)]
        end = match.end()
    return [*found, Span(end, text[end:], "code")]


def spans(path, text):
    """Yields the spans of any file. Outside Rust and Markdown, all text is both prose and code."""
    if path.endswith(".rs"):
        for span in rust(text):
            yield span
            if span.kind == "comment":
                for match in BACKTICKS.finditer(span.text):
                    yield Span(span.offset + match.start(), match[0], "code")
    elif path.endswith(".md"):
        yield Span(0, blank(text, FENCE), "prose")
        for match in [*FENCE.finditer(text), *BACKTICKS.finditer(text)]:
            yield Span(match.start(), match[0], "code")
    else:
        yield Span(0, text, "prose")
        yield Span(0, text, "code")


def sentences(span):
    """The text of a span with line breaks and comment markers as single spaces, and a function from its offsets to the span's.

    A blank line ends a paragraph and stays a line break. Code stays as it is.
    """
    text = span.text
    if span.kind != "code":
        text = blank(text, BACKTICKS) if "`" in text else text
        text = re.sub(r"^//[/!]?", lambda match: " " * len(match[0]), text)
        # A `\` at the end of a line continues a string; a paragraph ends at an empty comment line.
        text = re.sub(r"\\(?=\n)", " ", text)
        text = PARAGRAPH.sub(lambda match: "\n" + " " * (len(match[0]) - 1), text)
        text = MARKER.sub(lambda match: " " * len(match[0]), text)
    joined, starts, removed, end = [], [], [], 0
    for match in re.finditer(r" {2,}", text):
        joined.append(text[end : match.start() + 1])
        end = match.end()
        starts.append(match.start() + 1 - (removed[-1] if removed else 0))
        removed.append((removed[-1] if removed else 0) + len(match[0]) - 1)
    joined.append(text[end:])

    def original(offset):
        number = bisect.bisect_right(starts, offset)
        return offset + (removed[number - 1] if number else 0)

    return "".join(joined), original
