"""Figures of a tree, as Markdown: `numbers.py [COMMIT…]`; without arguments, of the work tree."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import house

PARTS = {
    "shared/src": "shared/src/*.rs",
    "functions": "functions/*.rs",
    "infra/local": "infra/local/*.rs",
    "infra/operator": "infra/operator/*.rs",
    "tests, Rust": "tests/*.rs",
    "tests, other": "tests/*.py tests/*.js tests/*.toml tests/*.yaml tests/*.ts tests/*/run",
    "infra, scripts and SQL": "infra/*.py infra/*.sh infra/*.sql infra/bundle infra/deploy infra/operate infra/roll-back infra/cost-sheet "
    "infra/portal-upload infra/rds-roots infra/release-notes infra/sbom",
    "portal": "infra/portal/*.js infra/portal/*.html infra/portal/*.css infra/portal/*.ts",
    "migrations": "shared/migrations/*",
}
PUBLIC = re.compile(r"^\s*pub (?:struct|enum|trait|type) \w+", re.M)


def read(root):
    """Maps the paths of a folder to their texts, without what others wrote."""
    files = {}
    for file in sorted(Path(root).rglob("*")):
        path = str(file.relative_to(root))
        if re.match(r"(\.git|target|\.local|\.aws-sam)/|.*node_modules/", path) or not file.is_file():
            continue
        if not house.matches(path, " ".join(house.FOREIGN)):
            try:
                files[path] = file.read_text()
            except UnicodeDecodeError:
                pass
    return files


def figures(files):
    lines = {path: text.count("\n") for path, text in files.items()}
    for part, globs in PARTS.items():
        yield f"lines: {part}", sum(count for path, count in lines.items() if house.matches(path, globs))
    rust = {path: text for path, text in files.items() if path.endswith(".rs")}
    shared = {path: text for path, text in rust.items() if path.startswith("shared/src/")}
    yield "Rust files", len(rust)
    yield "public types in shared/src", sum(len(PUBLIC.findall(text)) for text in shared.values())
    widths = [len(line) for text in rust.values() for line in text.split("\n")]
    yield "Rust lines over 100 columns", sum(width > 100 for width in widths)
    yield "Rust lines over 110 columns", sum(width > 110 for width in widths)
    comments = [len(line) for text in rust.values() for line in text.split("\n") if re.match(r"\s*//", line)]
    yield "comment lines over 100 columns", sum(width > 100 for width in comments)
    lengths = sorted(((count, name, path) for path, text in rust.items() for name, _, count in house.functions(text)), reverse=True)
    yield "functions", len(lengths)
    yield f"functions over {house.FUNCTION_LINES} lines", sum(count > house.FUNCTION_LINES for count, _, _ in lengths)
    yield "longest function, lines", "{} (`{}` in {})".format(*lengths[0])
    yield f"Rust files over {house.FILE_LINES} lines", sum(lines[path] > house.FILE_LINES for path in rust)
    yield "longest Rust file, lines", "{1} ({0})".format(*max(((path, lines[path]) for path in rust), key=lambda one: one[1]))
    yield "infra/openapi.json, lines", lines["infra/openapi.json"]
    words = house.Words()
    faults = [fault for path, text in files.items() if not path.startswith("tests/house/") for fault in words.faults(path, text)]
    yield "words that words.toml does not allow", len(faults)
    for path in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "infra/runbook.md", "infra/decisions.md"]:
        yield f"words: {path}", len(files[path].split()) if path in files else "–"


def table(trees):
    columns = [dict(figures(files)) for files in trees.values()]
    print("|  |", " | ".join(trees), "|")
    print("| --- |", " | ".join("---:" for _ in trees), "|")
    for name in columns[0]:
        print(f"| {name} |", " | ".join(f"{column[name]:,}" if isinstance(column[name], int) else column[name] for column in columns), "|")


def main(commits):
    trees = {}
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(["git", "archive", commit], cwd=house.PROJECT, capture_output=True, check=True).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            trees[commit] = read(folder)
    table(trees or {"work tree": read(house.PROJECT)})


if __name__ == "__main__":
    main(sys.argv[1:])
