"""What `infra/deploy` deploys a stack with: decided, checked and shown before anything is done.

The values of the running stack are the default of every parameter; a new stack has the template's. What is given comes on top: in
infra/stacks/STACK.toml (sam deploy's own format, not tracked, optional), then in `--parameter-overrides`, then by `--guided`, which
asks for each. A parameter goes back to the template's default, and a value becomes empty, only by `--reset NAME`.

    settings.py STACK --release NAME --running FILE --unreserved N --template FILE --file FILE --into FOLDER -- ARGUMENT…
    settings.py --at-once TEMPLATE

Writes into the folder: `arguments`, those of sam deploy, one a line; `Architecture` and `PortalOrigin`, the values to deploy. Exits with 1
and a reason when something is wrong. The second form takes gradual traffic shifting, and the alarms that would stop it, out of a packaged
template, for a roll-back.
"""

import argparse
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

# Further pages of answers to one question are not asked for.
ASKED_AT_MOST = 5
# Said by infra/deploy itself, each time anew.
OWN = "Release"
# AWS leaves so many of an account's processes unreserved, whatever is asked for.
LEFT_UNRESERVED = 100


class Refused(Exception):
    pass


def parameters_of(template):
    """Name → its declaration, in the template's order. The section is YAML's simplest, which a test holds it to."""
    section = re.search(r"(?ms)^Parameters:\n(.*?)^(?=\S)", template)[1]
    found = {}
    for name, body in re.findall(r"(?m)^  (\w+):\n((?:    .*\n|\n)+)", section):
        declared = dict(re.findall(r"(?m)^    (\w+): *(.*)$", body))
        if declared.get("Description", "").startswith(">"):
            declared["Description"] = " ".join(re.search(r"Description: >-?\n((?:      .*\n)+)", body)[1].split())
        if "AllowedValues" in declared:
            declared["AllowedValues"] = [one.strip() for one in declared["AllowedValues"].strip("[]").split(",")]
        found[name] = declared | {"Default": declared.get("Default", "").strip("'\"")}
    return found


def given_in(words):
    """The values in the words after --parameter-overrides, in either of sam's notations."""
    values = {}
    for word in (part for text in words for part in shlex.split(text)):
        name, equals, value = word.partition("=")
        if name == "ParameterKey":
            name, _, value = value.partition(",ParameterValue=")
        if not equals or not re.fullmatch(r"\w+", name):
            raise Refused(f"--parameter-overrides takes NAME=VALUE, not {word!r}")
        values[name] = value
    return values


def sorted_out(arguments):
    """(values given, names to reset, whether to ask, the other arguments) of sam deploy's arguments and our own."""
    values, reset, ask, others, taking = {}, [], False, [], None
    for argument in arguments:
        option, equals, value = argument.partition("=") if argument.startswith("--") else (argument, "", "")
        if option in ("--parameter-overrides", "--reset"):
            taking = option
            argument = value if equals else None
        elif option in ("--guided", "-g"):
            ask, taking, argument = True, None, None
        elif option.startswith("-"):
            taking = None
        if argument is None:
            continue
        if taking == "--reset":
            reset += argument.replace(",", " ").split()
        elif taking:
            values |= given_in([argument])
        else:
            others.append(argument)
    return values, reset, ask, others


def problem_of(value, declared):
    """What CloudFormation would refuse about a value, or nothing."""
    if declared["Type"] == "Number":
        if not re.fullmatch(r"\d+", value):
            return "is not a whole number"
        if not int(declared.get("MinValue", 0)) <= int(value) <= int(declared.get("MaxValue", 10**9)):
            return f"is not between {declared.get('MinValue', 0)} and {declared.get('MaxValue', 10**9)}"
    if "AllowedValues" in declared and value not in declared["AllowedValues"]:
        return f"is none of {', '.join(declared['AllowedValues'])}"
    if not re.fullmatch(declared.get("AllowedPattern", "(?s).*"), value):
        return f"does not match {declared['AllowedPattern']}"
    return "has a line break, a quote or a backslash" if re.search(r"[\n\r\"\\]", value) else None


def ask_for(name, declared, value):
    """The answer to a question: Enter keeps the value, the word `reset` takes the template's default."""
    print(f"\n{name}: {declared.get('Description', '')}")
    for _ in range(ASKED_AT_MOST):
        answer = input(f"  [{value}]: ").strip()
        chosen = declared["Default"] if answer == "reset" else answer or value
        if not (problem := problem_of(chosen, declared)):
            return chosen
        print(f"  {chosen!r} {problem}; Enter keeps {value!r}, the word reset takes {declared['Default']!r}")
    raise Refused(f"no good answer for {name}")


def decide(declared, running, given, reset, ask, unreserved=None):
    """Name → the value to deploy. `running` is None for a new stack."""
    for name in [*given, *reset]:
        if name not in declared or name == OWN:
            raise Refused(f"there is no parameter {name} to give")
    values = {name: one["Default"] for name, one in declared.items()}
    if running is None and unreserved is not None and unreserved - int(values["PollerReservedConcurrency"]) < LEFT_UNRESERVED:
        print(f"The account has {unreserved} processes of Lambda to reserve from, fewer than AWS keeps back: PollerReservedConcurrency is 0."
              " Give 2 when its limit is raised.")
        values["PollerReservedConcurrency"] = "0"
    values |= {name: value for name, value in (running or {}).items() if name in declared}
    before = dict(values)
    values |= {name: declared[name]["Default"] for name in reset} | given
    if both := sorted(set(given) & set(reset)):
        raise Refused(f"{both[0]} is both given and reset")
    emptied = [name for name, value in given.items() if value == "" and before[name] != ""]
    if emptied and running is not None:
        raise Refused(f"{emptied[0]} is {before[emptied[0]]} and would become empty: say --reset {emptied[0]} if that is meant")
    if ask:
        values |= {name: ask_for(name, one, values[name]) for name, one in declared.items() if name != OWN}
    for name, value in values.items():
        if problem := problem_of(value, declared[name]):
            raise Refused(f"{name}: {value!r} {problem}")
    return values


def changes(values, running):
    """One line for each parameter that changes."""
    for name, value in values.items():
        if name != OWN and (running is None or running.get(name) != value):
            before = "" if running is None else f"{running[name] or '(empty)'} → " if name in running else "new → "
            yield f"  {name}: {before}{value or '(empty)'}"
    for name in sorted(set(running or {}) - set(values)):
        yield f"  {name}: {running[name] or '(empty)'} → the template has it no longer"


def sam_arguments(stack, values, own, kept, file, is_terminal):
    """Everything is said on the command line: what a file says of parameters never reaches SAM."""
    arguments = ["--no-fail-on-empty-changeset"]
    if kept is not None:
        arguments += ["--config-file", str(file)]
    kept = kept or {}
    for refused in ("--config-env", "--config-file", "--stack-name"):
        if any(one.split("=")[0] == refused for one in own):
            raise Refused(f"{refused} is not taken here: the stack is named first, and its file is {file}")
    has = {one.split("=")[0] for one in own} | {"--" + name.replace("_", "-") for name in kept}
    if "--capabilities" not in has:
        arguments += ["--capabilities", "CAPABILITY_IAM"]
    if not has & {"--s3-bucket", "--resolve-s3", "--no-resolve-s3"}:
        arguments.append("--resolve-s3")
    confirms = kept.get("confirm_changeset", True) and "--no-confirm-changeset" not in own
    if confirms and not is_terminal:
        raise Refused("there is no terminal to confirm the change set at: say --no-confirm-changeset")
    if confirms and "--confirm-changeset" not in own:
        arguments.append("--confirm-changeset")
    return [*arguments, *own, "--stack-name", stack, "--parameter-overrides", *(f'{name}="{value}"' for name, value in values.items())]


def kept_in(file):
    """What the stack's file has for sam deploy, None without a file."""
    if not file.exists():
        return None
    try:
        kept = tomllib.loads(file.read_text())
        float(kept["version"])
        return kept["default"]["deploy"]["parameters"]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"{file} is not what sam deploy reads: it needs version = 0.1 and [default.deploy.parameters] ({error})") from error


def at_once(packaged):
    """A packaged template (YAML) without its DeploymentPreference: the aliases then move with the stack's update, and nothing stops it."""
    kept, below = [], None
    for line in packaged.splitlines(keepends=True):
        depth = len(line) - len(line.lstrip())
        if below is not None and depth > below:
            continue
        below = depth if line.lstrip().startswith("DeploymentPreference:") else None
        if below is None:
            kept.append(line)
    return "".join(kept)


def main():
    if sys.argv[1] == "--at-once":
        path = Path(sys.argv[2])
        path.write_text(at_once(path.read_text()))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("--release", required=True)
    for name in ("--running", "--template", "--file", "--into"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--unreserved", type=int)
    at = sys.argv.index("--")
    told = parser.parse_args(sys.argv[1:at])
    given, reset, ask, own = sorted_out(sys.argv[at + 1:])
    if ask and not sys.stdin.isatty():
        raise Refused("there is no terminal for --guided to ask at: say --parameter-overrides NAME=VALUE … and --no-confirm-changeset")
    kept = kept_in(told.file)
    written = (kept or {}).get("parameter_overrides", [])
    given = given_in([written] if isinstance(written, str) else written) | given
    listed = json.loads(told.running.read_text() or "null")
    running = None if listed is None else {one["ParameterKey"]: one["ParameterValue"] for one in listed}
    declared = parameters_of(told.template.read_text())
    values = decide(declared, running, given, reset, ask, told.unreserved) | {OWN: told.release}
    arguments = sam_arguments(told.stack, values, own, kept, told.file, sys.stdin.isatty())
    print(f"Parameters of the new stack {told.stack}:" if running is None else f"Parameters of {told.stack} that change:")
    print("\n".join(changes(values, running)) or "  none")
    (told.into / "arguments").write_text("".join(f"{one}\n" for one in arguments))
    for name in ("Architecture", "PortalOrigin"):
        (told.into / name).write_text(values[name])


if __name__ == "__main__":
    try:
        main()
    except Refused as error:
        sys.exit(f"infra/deploy: {error}. Nothing was done.")
    except (EOFError, KeyboardInterrupt):
        sys.exit("\ninfra/deploy: no answer. Nothing was done.")
