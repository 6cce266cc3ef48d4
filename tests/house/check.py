"""Checks the tracked files: `check.py [FILE…]`; without arguments, all of them."""

import subprocess
import sys

import house


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=house.PROJECT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path]


def faults(paths, words, exceptions):
    for path in sorted(paths):
        file = house.PROJECT / path
        if house.matches(path, " ".join(house.FOREIGN)) or not file.is_file():
            continue
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        yield from words.faults(path, text)
        yield from house.width(path, text)
        yield from house.lengths(path, text, exceptions)


def main(paths):
    words, exceptions = house.Words(), house.exceptions()
    found = list(faults(paths or tracked(), words, exceptions))
    if not paths:
        found += [f"words.toml: nothing needs the allowance {one['files']}: {one['pattern']}" for one in words.unused()]
        found += [f"exceptions.toml: there is no {what}" for what in exceptions if not (house.PROJECT / what.split(":")[0]).is_file()]
    print(*found, sep="\n")
    print(f"house: {len(found)} faults")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(sys.argv[1:])
