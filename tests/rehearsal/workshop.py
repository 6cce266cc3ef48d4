"""A copy of the project's scripts, with the programs that they call adapted to the emulator."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import warm
from gate.template import PROJECT, Template

from .emulator import as_the_emulator_takes_it

SCRIPTS = ("deploy", "operate", "portal-upload", "roll-back", "stack.sh", "settings.py", "parameters.py", "releases.py")
# For artifacts: SAM's own bucket comes from a template with a transform, which the emulator doesn't
# support.
BUCKET = "artifacts"
# Makes version 1 of the AWS CLI look like version 2: it can't print credentials, and has no pager
# and no encoding option.
AWS = """for word; do
  shift
  case $word in
    --no-cli-pager | --cli-binary-format | raw-in-base64-out) ;;
    *) set -- "$@" "$word" ;;
  esac
done
case "$*" in
  --version) echo aws-cli/2.0.0 ;;
  "configure export-credentials"*) for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do eval "echo export $name=\\$$name"; done ;;
  *) exec "{warm}/aws" "$@" ;;
esac"""
# `sam build` would compile; this deploys what the tests have compiled. AWS runs the transform when
# it knows the parameters; here it ran before, so this inserts the release into the functions'
# descriptions and the names of their versions.
SAM = """case $1 in
  build) cp -r "$WORKSHOP/built/." .aws-sam/build ;;
  *)
    release=$(printf '%s\\n' "$@" | sed -n 's/^Release="\\(.*\\)"$/\\1/p')
    sed -e "s/FunctionVersionnone/FunctionVersion${release%%-*}/g" -e "s/\\"Description\\": \\"none\\"/\\"Description\\": \\"$release\\"/g" \\
      "$WORKSHOP/built/template.yaml" >.aws-sam/build/template.yaml
    exec "{warm}/sam" "$@"
    ;;
esac"""
CARGO = """while [ "$1" != -- ]; do shift; done
shift
exec "{program}" "$@" """


TOOLS = PROJECT / "target"
# Programs that run dozens of times: program → the folder of its interpreter, and what it loads. The
# empty name is the interpreter itself.
WARM = {
    "aws": ("tools-aws", ["awscli.clidriver", "awscli.handlers", "awscli.customizations.s3.subcommands", "botocore.endpoint", "botocore.parsers"]),
    "sam": ("tools", ["samcli.cli.main", "samcli.commands.deploy.command"]),
    "": ("tools", ["argparse", "json", "pathlib", "re", "shlex", "tomllib", "zipfile"]),
}


def addresses(endpoint):
    """Returns the variables that point the SAM CLI, the AWS CLI and our own programs to the emulator."""
    return {f"AWS_ENDPOINT_URL{service}": endpoint for service in ("", "_DYNAMODB", "_SQS", "_SECRETS_MANAGER")}


class Workshop:
    """Runs commands with only its programs, the emulator's address and the emulator's credentials."""

    def __init__(self, folder, endpoint, program):
        self.project, self.built, self.bin, self.warm = folder / "project", folder / "built", folder / "bin", folder / "warm"
        self.functions = folder / "functions"
        self.endpoint, self.program = endpoint, Path(program)
        self.operators_program = self.program.with_name("officepro-operator")
        (self.project / "infra/stacks").mkdir(parents=True)
        (self.project / ".aws-sam/build").mkdir(parents=True)
        self.bin.mkdir()
        self.warm.mkdir()
        self.functions.mkdir()
        for script in SCRIPTS:
            shutil.copy(PROJECT / "infra" / script, self.project / "infra")
        shutil.copytree(PROJECT / "infra/portal", self.project / "infra/portal")
        for file in ("template.yaml", "samconfig.toml"):
            shutil.copy(PROJECT / file, self.project)
        for name, lines in (("aws", AWS), ("sam", SAM), ("cargo", CARGO), ("cargo-lambda", ""), ("python3", 'exec "{warm}/python3" "$@"')):
            self.executable(self.bin / name, "#!/bin/sh\n" + lines.replace("{warm}", str(self.warm)).replace("{program}", str(self.operators_program)))
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(folder), "WORKSHOP": str(folder), **addresses(endpoint),
            "AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0",
            "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore", "LC_ALL": "C.UTF-8",
        }

    def __enter__(self):
        self.servers = []
        for name, (folder, modules) in WARM.items():
            tools = TOOLS / folder / "bin"
            self.servers.append(warm.Warm(*modules, interpreter=tools / "python", environment=os.environ | self.environment))
            self.executable(self.warm / (name or "python3"), warm.stand_in(self.servers[-1].port, tools / name if name else ""))
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.close()

    @staticmethod
    def executable(path, text):
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def build(self, change=lambda body: None):
        """Prepares what `sam build` will produce, after a change to the template. Returns reason → what was adapted for the emulator."""
        template = Template.load()
        change(template.body)
        expanded, told = as_the_emulator_takes_it(template.expanded(), self.endpoint)
        shim = (Path(__file__).parent / "bootstrap.py").read_text()
        for name, function in template.functions().items():
            # The local stack's program is the function under whose name it is started.
            binary = self.functions / function["CodeUri"].removeprefix("functions/")
            if not binary.is_symlink():
                binary.symlink_to(self.program)
            (self.built / name).mkdir(parents=True, exist_ok=True)
            self.executable(self.built / name / "bootstrap", f"#!{sys.executable}\n" + shim.replace("@PROGRAM@", str(binary)))
            expanded["Resources"][name]["Properties"]["Code"] = name
        (self.built / "template.yaml").write_text(json.dumps(expanded))
        return told

    def run(self, *command, given="", fails=False, region="us-east-1"):
        """Runs a command; returns its output. Raises an error with its last lines if it fails, or succeeds unexpectedly."""
        path = self.project / "infra" / command[0]
        done = subprocess.run([path if path.exists() else command[0], *command[1:]], input=given, capture_output=True, text=True, timeout=900,
                              check=False, cwd=self.project, env=os.environ | self.environment | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region})
        said = done.stdout + done.stderr
        if (done.returncode != 0) != fails:
            raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said[-6000:]}")
        return said

    def aws(self, *command, **others):
        return json.loads(self.run("aws", *command, "--output", "json", **others) or "null")
