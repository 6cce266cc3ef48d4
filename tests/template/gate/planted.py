"""Plants the faults of planted.yaml in copies of the template's body or of the project's files."""

import shutil
from pathlib import Path

from samcli.yamlhelper import yaml_parse

from .template import PROJECT

FAULTS = yaml_parse((Path(__file__).parent / "planted.yaml").read_text())


def place(node, path):
    """Returns the container and the key of the path's last step. Searches for each step breadth-first below the previous one."""
    for step in path.split("/"):
        level = [node]
        while not (found := [(one, key) for one in level for key in keys_of(one, step)]):
            level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]
            if not level:
                raise LookupError(f"{path}: there is no {step}")
        container, key = found[0]
        node = container[key]
    return container, key


def keys_of(node, step):
    if isinstance(node, dict):
        return [step] if step in node else []
    if isinstance(node, list):
        return [index for index, item in enumerate(node) if step == str(index) or (isinstance(item, dict) and step in (item.get("Sid"), item.get("Id")))]
    return []


def plant(fault, body, project):
    if "file" in fault:
        path = project / fault["file"]
        if "to" in fault:
            path.parent.mkdir(exist_ok=True)
            path.write_text(fault["to"])
        else:
            path.unlink()
        return
    container, key = place(body, fault["at"])
    if "long" in fault:
        container[key] = "x" * fault["long"]
    elif "many" in fault:
        for number in range(fault["many"]):
            plant({"at": fault["at"], "with": numbered(fault["with"], number)}, body, project)
    elif "with" in fault:
        (container[key].update if isinstance(container[key], dict) else container[key].extend)(fault["with"])
    elif "swap" in fault:
        old, new = fault["swap"]
        assert old in container[key], old
        container[key] = container[key].replace(old, new)
    elif "to" in fault:
        container[key] = fault["to"]
    else:
        del container[key]


def numbered(node, number):
    """Returns a copy of a node with a number in place of each # in its names and texts."""
    if isinstance(node, dict):
        return {key.replace("#", str(number)): numbered(value, number) for key, value in node.items()}
    if isinstance(node, list):
        return [numbered(one, number) for one in node]
    return node.replace("#", str(number)) if isinstance(node, str) else node


def copy_project(folder):
    """Copies the files that rules read besides the template."""
    for part in ("events", "functions", "shared/src"):
        shutil.copytree(PROJECT / part, folder / part)
    (folder / "infra").mkdir()
    for file in ("portal-headers.json", "runbook.md"):
        shutil.copy(PROJECT / "infra" / file, folder / "infra")
