"""The template's parameters, and the values that a deployment sets."""

import re

# Maximum number of attempts to answer one question.
ASKED_AT_MOST = 5
# Set by infra/deploy itself, to a new value each time.
OWN = "Release"
# AWS always keeps this many of an account's processes unreserved.
LEFT_UNRESERVED = 100


class Refused(Exception):
    pass


def parameters_of(template):
    """Returns name → declaration, in the template's order. A test ensures that the section is simple enough for this."""
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


def pairs_in(words, option, name=r"\w+"):
    """Parses NAME=VALUE words, with one or several pairs each. A value ends at the next name, or at its closing quote."""
    begin = rf"(?:ParameterKey=(?P<key>{name}),ParameterValue=|(?P<name>{name})=)"
    pair = re.compile(begin + r"(?:\"(?P<double>[^\"]*)\"(?=\s|$)|'(?P<single>[^']*)'(?=\s|$)|"
                      + rf"(?P<plain>.*?)(?=\s+(?:ParameterKey=)?{name}=|\s*$))\s*", re.DOTALL | re.ASCII)
    values = {}
    for word in words:
        at = len(word) - len(word.lstrip())
        while at < len(word):
            found = pair.match(word, at)
            if not found:
                raise Refused(f"{option} requires NAME=VALUE, not {word[at:]!r}")
            values[found["key"] or found["name"]] = next(found[kind] for kind in ("double", "single", "plain") if found[kind] is not None)
            at = found.end()
    return values


def pairs_of(kept, option, name=r"\w+"):
    """Parses the pairs in a TOML file: one text, a list of them, or a table."""
    if isinstance(kept, dict):
        return {key: ",".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in kept.items()}
    return pairs_in([kept] if isinstance(kept, str) else map(str, kept), option, name)


def problem_of(value, declared):
    """Returns why CloudFormation would reject a value, or None."""
    if declared["Type"] == "Number":
        # The template's conditions would not recognize 00 as 0.
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", value):
            return "is not a whole number without leading zeros"
        if not int(declared.get("MinValue", 0)) <= int(value) <= int(declared.get("MaxValue", 10**9)):
            return f"is not between {declared.get('MinValue', 0)} and {declared.get('MaxValue', 10**9)}"
    if "AllowedValues" in declared and value not in declared["AllowedValues"]:
        return f"is not one of {', '.join(declared['AllowedValues'])}"
    if not re.fullmatch(declared.get("AllowedPattern", "(?s).*"), value):
        return f"does not match {declared['AllowedPattern']}"
    return "contains a line break, a quote or a backslash" if re.search(r"[\n\r\"\\]", value) else None


def ask_for(name, declared, value):
    """Asks for a value: Enter keeps the current one, the word `reset` restores the template's default."""
    print(f"\n{name}: {declared.get('Description', '')}")
    for _ in range(ASKED_AT_MOST):
        answer = input(f"  [{value}]: ").strip()
        chosen = declared["Default"] if answer == "reset" else answer or value
        if not (problem := problem_of(chosen, declared)):
            return chosen
        print(f"  {chosen!r} {problem}; press Enter to keep {value!r}, or type reset for the default {declared['Default']!r}")
    raise Refused(f"no valid value for {name}")


def decide(declared, running, given, reset, ask, unreserved=None, lost=None):
    """Returns name → value to deploy. `running` is None for a new stack; `lost` has the values that a roll-back's older template lacks."""
    for name in [*given, *reset]:
        if name not in declared or name == OWN:
            raise Refused(f"there is no parameter {name} that can be set")
    values = {name: one["Default"] for name, one in declared.items()}
    if running is None and unreserved is not None and unreserved - int(values["PollerReservedConcurrency"]) < LEFT_UNRESERVED:
        print(f"The account has only {unreserved} unreserved Lambda processes, and AWS keeps {LEFT_UNRESERVED} of them: PollerReservedConcurrency is 0."
              " Set it to 2 once the account's limit is raised.")
        values["PollerReservedConcurrency"] = "0"
    values |= {name: value for name, value in ((lost or {}) | (running or {})).items() if name in declared}
    before = dict(values)
    values |= {name: declared[name]["Default"] for name in reset} | given
    if both := sorted(set(given) & set(reset)):
        raise Refused(f"{both[0]} is both given and reset")
    emptied = [name for name, value in given.items() if value == "" and before[name] != ""]
    if emptied and running is not None:
        raise Refused(f"{emptied[0]} is {before[emptied[0]]} and would become empty: use --reset {emptied[0]} if that is intended")
    if ask:
        values |= {name: ask_for(name, one, values[name]) for name, one in declared.items() if name != OWN}
    for name, value in values.items():
        if problem := problem_of(value, declared[name]):
            raise Refused(f"{name}: {value!r} {problem}")
    return values


def changes(values, running):
    """Yields one line for each parameter that changes."""
    for name, value in values.items():
        if name != OWN and (running is None or running.get(name) != value):
            before = "" if running is None else f"{running[name] or '(empty)'} → " if name in running else "new → "
            yield f"  {name}: {before}{value or '(empty)'}"
    for name in sorted(set(running or {}) - set(values)):
        yield f"  {name}: {running[name] or '(empty)'} → removed from the template"
