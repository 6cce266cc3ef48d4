"""Determines where a stack is and what it is deployed with. Nothing else reads infra/stacks.

A stack's file, infra/stacks/STACK.toml (optional, not tracked, in sam deploy's own format), applies to the region that it names. Every further
region has its own file, infra/stacks/STACK.REGION.toml. Parameters and tags default to the values of the running stack, or to the template's for
a new stack. Later sources override them: the file, then `--parameter-overrides` and `--tags`, then `--guided`, which asks for each parameter.
Only `--reset NAME` resets a parameter to the template's default or empties it.

    settings.py where STACKS STACK ARGUMENT…
    settings.py decide STACK --release NAME --running FILE --tags FILE --runs FOLDER --unreserved N --template FILE --file FILE --into FOLDER
                       -- ARGUMENT…
    settings.py keep STACKS STACK REGION [PROFILE]

`where` prints shell code that sets `settings`, `region` and `profile` (empty if unknown) and the arguments without those two options. `decide`
writes into the folder: `arguments`, those of sam deploy, one per line; `samconfig.toml`, an empty one for sam; `Architecture` and `PortalOrigin`,
the values to deploy. `keep` writes the file of a new stack. Exits with 1 and a reason on errors.
"""

import argparse
import json
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import releases
from parameters import OWN, Refused, changes, decide, pairs_in, pairs_of, parameters_of

# Names in CloudFront have 64 characters for the stack name and the region, see
# tests/template/gate/limits.py.
STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
WHERE = ("--region", "--profile")
# Arguments of sam deploy that the other steps need not know: they change neither the stack nor what
# is deployed.
FLAGS = {"resolve_s3", "confirm_changeset", "force_upload", "fail_on_empty_changeset", "no_progressbar"}
LISTS = {"capabilities", "notification_arns", "signing_profiles"}
OTHERS = FLAGS | LISTS | {"s3_bucket", "s3_prefix", "kms_key_id", "role_arn"}
# Arguments that are also allowed on the command line.
TAKEN = {*OTHERS, "parameter_overrides", "tags", "reset", "guided", "g", "debug", "no_confirm_changeset", "no_resolve_s3", "no_fail_on_empty_changeset"}
# Tags with this prefix are AWS's own.
RESERVED_TAG = "aws:"
TAG = r"[^\s=\"']+"


def saved_in(file):
    """Returns the arguments of sam deploy in a stack's file, None without a file."""
    if not file.exists():
        return None
    try:
        saved = tomllib.loads(file.read_text())
        float(saved["version"])
        saved = saved["default"]["deploy"]["parameters"]
        unknown = sorted(set(saved) - OTHERS - {"region", "profile", "tags", "parameter_overrides"})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{file} is not a valid sam deploy configuration: it needs version = 0.1 and [default.deploy.parameters] ({error})") from error
    if unknown:
        raise Refused(f"{file} has the unsupported entry {unknown[0]}; infra/settings.py lists the supported ones")
    for name in ("region", "profile"):
        if not isinstance(saved.get(name, ""), str):
            raise Refused(f"{file}: {name} must be text")
    return saved


def files_of(stacks, stack):
    """Returns the stack's files by region; the one for the empty region applies to regions without a file."""
    found = {}
    for path in [stacks / f"{stack}.toml", *sorted(stacks.glob(f"{stack}.*.toml"))]:
        if (saved := saved_in(path)) is not None:
            named, said = path.name.removeprefix(stack).removesuffix(".toml").removeprefix("."), saved.get("region", "")
            if named and said not in ("", named):
                raise Refused(f"{path} specifies region {said}")
            if (named or said) in found:
                raise Refused(f"{path} and {found[named or said]} are both for {said or named}")
            found[named or said] = path
    return found


def where(stacks, stack, arguments, environment):
    """Returns (file, region, profile, other arguments) for every step of a command."""
    if not STACK.fullmatch(stack):
        raise Refused("a stack name must begin with a letter and have at most 32 letters, digits and hyphens")
    asked, others, option = dict.fromkeys(WHERE, ""), [], None
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if option or (name in WHERE and equals):
            option, value = (option, argument) if option else (name, value)
            if not value or value.startswith("-"):
                break
            asked[option], option = value, None
        elif argument in WHERE:
            option = argument
        else:
            others.append(argument)
    if option:
        raise Refused(f"{option} needs a value")
    files, region = files_of(stacks, stack), asked["--region"]
    named, usual = [one for one in files if one], environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    if not region and usual and named and usual not in files and "" not in files:
        raise Refused(f"{files[named[0]]} specifies {named[0]}, but AWS_REGION is {usual}: use --region {named[0]} or --region {usual}")
    if not region and not usual and len(named) > 1 and files[named[0]].name != f"{stack}.toml":
        raise Refused(f"{stack} has files for {' and '.join(named)}: choose one with --region")
    region = region or usual or (named[0] if named else "")
    file = files.get(region) or files.get("") or stacks / (f"{stack}.{region}.toml" if files else f"{stack}.toml")
    return file, region, asked["--profile"] or (saved_in(file) or {}).get("profile", ""), others


def keep(stacks, stack, region, profile=""):
    """Writes the file of a new stack if it has none, so that later commands find it."""
    files = files_of(stacks, stack)
    if region in files or "" in files:
        return
    stacks.mkdir(exist_ok=True)
    (stacks / (f"{stack}.{region}.toml" if files else f"{stack}.toml")).write_text(
        f"# Arguments of sam deploy for the stack {stack} in {region}, in its own format. Parameters and tags keep the running stack's values;\n"
        "# parameter_overrides and tags in this file are set again with every deployment.\n"
        f"version = 0.1\n\n[default.deploy.parameters]\nregion = {json.dumps(region)}\n" + (f"profile = {json.dumps(profile)}\n" if profile else ""))


def options_of(arguments):
    """Returns each option with its words, in order."""
    found = []
    for argument in arguments:
        if argument.startswith("-"):
            option, equals, value = argument.partition("=")
            found.append((option, [value] if equals else []))
        elif not found:
            raise Refused(f"unexpected argument {argument!r}")
        else:
            found[-1][1].append(argument)
    for option, _ in found:
        if option.lstrip("-").replace("-", "_") not in TAKEN:
            raise Refused(f"{option} is not supported: the other steps would ignore it")
    return found


def sorted_out(arguments):
    """Splits infra/deploy's arguments into (given parameters, given tags, names to reset, whether to ask, other arguments)."""
    values, tags, reset, ask, others = {}, {}, [], False, []
    for option, words in options_of(arguments):
        if option == "--parameter-overrides":
            values |= pairs_in(words, option)
        elif option == "--tags":
            tags |= pairs_in(words, option, TAG)
        elif option == "--reset":
            reset += " ".join(words).replace(",", " ").split()
        elif option in ("--guided", "-g"):
            ask = True
        else:
            others += [option, *words]
    return values, tags, reset, ask, others


def arguments_of(saved):
    """Converts a file's entries to arguments."""
    for name, value in saved.items():
        option = "--" + name.replace("_", "-")
        if name in FLAGS:
            yield from [option] if value else []
        elif name in OTHERS:
            yield option
            yield from map(str, value if isinstance(value, list) else str(value).split() if name in LISTS else [value])


def sam_arguments(stack, values, tags, own, saved, is_terminal):
    """Returns the arguments for sam deploy. They contain everything: SAM reads no configuration file of its own."""
    has = {one.lstrip("-").replace("-", "_") for one in own if one.startswith("-")}
    saved = {name: value for name, value in saved.items() if name not in has}
    if "s3_bucket" in has or "s3_bucket" in saved:
        if "resolve_s3" in has or (saved.get("resolve_s3") and "s3_bucket" in saved):
            raise Refused("--s3-bucket and --resolve-s3 exclude each other")
        saved.pop("resolve_s3", None)
    elif not saved.get("resolve_s3", "no_resolve_s3" not in has):
        raise Refused("without --resolve-s3, --s3-bucket is required")
    else:
        saved["resolve_s3"] = True
    confirms = saved.pop("confirm_changeset", True) and "no_confirm_changeset" not in has
    if confirms and not is_terminal:
        raise Refused("there is no terminal to confirm the change set on: use --no-confirm-changeset")
    if "capabilities" not in has:
        saved.setdefault("capabilities", "CAPABILITY_IAM")
    arguments = [*([] if saved.get("fail_on_empty_changeset") else ["--no-fail-on-empty-changeset"]), *arguments_of(saved), *own]
    if confirms and "confirm_changeset" not in has:
        arguments.append("--confirm-changeset")
    quoted = (f'"{name}"="{value}"' if "=" in name + value else f"{name}={value}" for name, value in tags.items())
    arguments += ["--tags", *quoted] if tags else []
    return [*arguments, "--stack-name", stack, "--parameter-overrides", *(f'{name}="{value}"' for name, value in values.items())]


def values_in(path, key, value):
    """Returns name → value of a list that the AWS CLI printed; None for a stack that doesn't exist."""
    listed = json.loads(path.read_text() or "null")
    return None if listed is None else {one[key]: one[value] for one in listed}


def main_decide(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("--release", required=True)
    for name in ("--running", "--tags", "--runs", "--template", "--file", "--into"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--unreserved", type=int)
    at = arguments.index("--")
    options = parser.parse_args(arguments[:at])
    given, tags, reset, ask, own = sorted_out(arguments[at + 1:])
    if ask and not sys.stdin.isatty():
        raise Refused("--guided requires a terminal: use --parameter-overrides NAME=VALUE … and --no-confirm-changeset")
    saved = saved_in(options.file) or {}
    given = pairs_of(saved.get("parameter_overrides", []), "parameter_overrides") | given
    running = values_in(options.running, "ParameterKey", "ParameterValue")
    # SAM removes tags that it is not given.
    tagged = {} if "tags" in reset else values_in(options.tags, "Key", "Value") or {}
    stays = {name: value for name, value in tagged.items() if not name.startswith(RESERVED_TAG)}
    tags = stays | pairs_of(saved.get("tags", []), "tags", TAG) | tags
    declared = parameters_of(options.template.read_text())
    lost = releases.last_given(releases.read(options.runs))
    values = decide(declared, running, given, [name for name in reset if name != "tags"], ask, options.unreserved, lost) | {OWN: options.release}
    arguments = sam_arguments(options.stack, values, tags, own, saved, sys.stdin.isatty())
    print(f"Parameters of the new stack {options.stack}:" if running is None else f"Parameters of {options.stack} that change:")
    print("\n".join(changes(values, running)) or "  none")
    config = options.into / "samconfig.toml"
    config.write_text("version = 0.1\n[default.deploy.parameters]\n")
    (options.into / "arguments").write_text("".join(f"{one}\n" for one in ["--config-file", str(config), *arguments]))
    for name in ("Architecture", "PortalOrigin"):
        (options.into / name).write_text(values[name])


def main(action, *arguments):
    if action == "where":
        file, region, profile, others = where(Path(arguments[0]), arguments[1], arguments[2:], os.environ)
        print(f"settings={shlex.quote(str(file))} region={shlex.quote(region)} profile={shlex.quote(profile)}")
        print(shlex.join(["set", "--", *others]))
    elif action == "keep":
        keep(Path(arguments[0]), *arguments[1:])
    else:
        main_decide([*arguments])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as error:
        sys.exit(f"infra: {error}. Nothing was done.")
    except (EOFError, KeyboardInterrupt):
        sys.exit("\ninfra: canceled. Nothing was done.")
