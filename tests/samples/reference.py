"""The samples of the reference: all are parsed, and those of some operations are executed."""

import ast
import json

# How to parse a file, and how to execute it. C# is parsed by `csharp.py`.
LANGUAGES = {
    "bash": ("sample.sh", ["bash", "-n"], ["bash", "-euo", "pipefail"]),
    "javascript": ("sample.mjs", ["node", "--check"], ["node"]),
    "python": ("sample.py", None, None),
    "php": ("sample.php", ["php", "-l"], ["php", "-d", "display_errors=stderr"]),
    "csharp": ("sample.cs", None, None),
}


def tests(project, folder, environment, run, python) -> list:
    command = ["node", project / "tests/samples/reference.mjs", project, environment["API"].removesuffix("/v1"), environment["TOKEN"]]
    samples = json.loads(run(command, folder))
    return [
        (f"reference in {language}", lambda language=language: check(language, samples, folder, run, python, project)) for language in LANGUAGES
    ]


def check(language, samples, folder, run, python, project) -> str:
    name, parse, execute = LANGUAGES[language]
    own = [it for it in samples if it["language"] == language]
    executed = 0
    for sample in own:
        # curl succeeds even if the call fails, unless it is told otherwise.
        text = sample["text"].replace("curl ", "curl --fail-with-body --silent ", 1) if language == "bash" else sample["text"]
        file = folder / f"{sample['id']}-{name}"
        file.write_text(text)
        if language == "python":
            ast.parse(text)
        elif language == "csharp":
            run([python, project / "tests/samples/csharp.py", file], folder)
        else:
            run([*parse, file], folder)
        if sample["executed"] and language != "csharp":
            printed = run([*(execute or [python]), file], folder)
            if not printed.strip():
                raise ValueError(f"{sample['id']} printed nothing")
            executed += 1
    if len(own) < 50 or (language != "csharp" and executed < 10):
        raise ValueError(f"only {len(own)} samples, {executed} of them executed")
    return f"{len(own)} parsed, {executed} executed"
