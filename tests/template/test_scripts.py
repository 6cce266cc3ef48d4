"""Tests of infra/deploy, roll-back, operate and portal-upload with stand-ins for the programs that they call."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2] / "infra"
PROGRAMS = ["aws", "sam", "cargo", "cargo-lambda"]
OUTPUTS = {name: f"the-{name}" for name in [
    "ControlTableName", "DeliveriesTableName", "ActivityTableName", "EphemeralTableName", "EventsQueueUrl", "EventsDeadLetterQueueUrl",
    "TokenKeysSecretArn", "AdminSecretsSecretArn", "CatalogDsnSecretArn", "PracticeSecretsPrefix", "EdgeSecretArn", "EdgeSecretVersion", "DeliveryShards", "DataKeyArn",
    "MigrateFunctionName",
    "ApiEndpointUrl", "PortalBucketName", "PortalDistributionId", "PortalUrl", "ReleasesBucketName", "ReleasesUrl"]}
STATE, CHANGE_SETS, CREDENTIALS, MIGRATE = ["StackStatus"], ["list-change-sets"], ["get-caller-identity"], ["cargo run", "-- migrate"]
PARAMETERS, LOG_GROUPS, LIMITS = ["Stacks[0].Parameters"], ["describe-log-groups"], ["get-account-settings"]
TAGS, PACKAGED = ["Stacks[0].Tags"], "Globals:\n  Function:\n    DeploymentPreference:\n      Type: x\nResources: {}\n"
UNASKED = "--no-confirm-changeset"
NO_STACK = (254, "", "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id prod does not exist")
sys.path.insert(0, str(INFRA))
import parameters  # noqa: E402 they lie beside the scripts
import releases  # noqa: E402
import settings  # noqa: E402
import warm  # noqa: E402
from stand_ins import StandIns  # noqa: E402

DEFAULTS = {name: one["Default"] for name, one in parameters.parameters_of((INFRA.parent / "template.yaml").read_text()).items()
            if name != parameters.OWN}
# Calls that change something in the account.
CHANGES = ["update-function-code", "migrate", "sam deploy", "update-stack", "s3 sync", "s3://the-PortalBucketName", "create-invalidation"]


def answer(output="", code=0, error=""):
    return code, output, error


def stack(status="UPDATE_COMPLETE", migrate="the-MigrateFunctionName"):
    return answer(f"{status}\t{migrate}\n")


def running(**values):
    """Returns the response with the running stack's parameters; those not given have the template's defaults."""
    return listed_parameters(DEFAULTS | {"PortalOrigin": "https://portal.example.com", "Release": "1790000003-v3"} | values)


def listed_parameters(values):
    return (PARAMETERS, [answer(json.dumps([{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]))])


def new(*after):
    """Returns the responses of an account without the stack, which `sam deploy` then creates."""
    return (STATE, [NO_STACK, *after, stack()])


def listed(outputs):
    return answer("".join(f"{key}\t{value}\n" for key, value in outputs.items()))


class Scripts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stand_ins = StandIns()
        cls.addClassCleanup(cls.stand_ins.close)
        # Preloads what the scripts import; the scripts themselves are read each time.
        cls.python = warm.Warm("argparse", "json", "pathlib", "re", "shlex", "tomllib", "zipfile", environment={"PYTHONDONTWRITEBYTECODE": "1"})
        cls.addClassCleanup(cls.python.close)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="scripts-")
        self.addCleanup(folder.cleanup)
        self.project = Path(folder.name) / "a project"
        (self.project / "infra").mkdir(parents=True)
        for script in ["deploy", "operate", "portal-upload", "roll-back", "stack.sh", "settings.py", "parameters.py", "releases.py"]:
            shutil.copy(INFRA / script, self.project / "infra")
        self.portal = self.project / "infra/portal"
        self.write(self.portal, "one")
        shutil.copy(INFRA.parent / "template.yaml", self.project)
        (self.project / ".aws-sam/build/MigrateFunction").mkdir(parents=True)
        (self.project / ".aws-sam/build/MigrateFunction/bootstrap").write_text("binary")
        self.stubs = Path(folder.name) / "stubs"
        self.stubs.mkdir()
        self.stand_ins.s3, self.stand_ins.seen = self.stubs / "s3", lambda words: None
        for program in PROGRAMS:
            self.executable(program, warm.stand_in(self.stand_ins.port))
        self.executable("python3", warm.stand_in(self.python.port))

    @staticmethod
    def write(folder, version, **more):
        """Writes a portal. All versions have the same size."""
        for name, text in ({"index.html": "<script src=main.js>", "main.js": version, "lib/types.d.ts": "declare"} | more).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def stored(self, bucket, under=""):
        """Returns the objects of a bucket: name → text."""
        root = self.stubs / "s3" / bucket / under
        return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}

    def program(self, name, line):
        self.executable(name, f"#!/bin/sh\n{line}\n")

    def executable(self, name, text):
        path = self.stubs / name
        path.write_text(text)
        path.chmod(0o755)

    def deploy(self, *arguments, **others):
        """Runs infra/deploy without a terminal."""
        return self.run_script("deploy", "prod", UNASKED, *arguments, **others)

    def deployed(self):
        """Yields the parameters of each `sam deploy`."""
        for call in self.called("sam deploy"):
            words = call[:call.rindex(" --region ")].split(" --parameter-overrides ")[1]
            values = {name: value.strip('"') for name, _, value in (word.partition("=") for word in words.split())}
            self.releases = [*getattr(self, "releases", []), values.pop(parameters.OWN)]
            yield values

    def run_script(self, *arguments, answers=(), typed=None, **environment):
        """Runs a script. A call gets the first matching entry of `answers`, or succeeds without output. `typed` is typed at a
        terminal; without it, there is none."""
        usual = [(["--query Stacks[0].StackStatus"], [answer("UPDATE_COMPLETE\n")]), (STATE, [stack()]), running(), (TAGS, [answer("[]")]), (["get-template"], [answer(PACKAGED)]),
                 (["OutputKey,OutputValue"], [listed(OUTPUTS)]),
                 (["aws --version"], [answer("aws-cli/2.27.0 Python/3.13\n")]), (LIMITS, [answer("900\n")]),
                 (["export-credentials"], [answer("export AWS_ACCESS_KEY_ID=exported\n")]), (["configure get region"], [answer(code=1)])]
        self.stand_ins.begin([*answers, *usual])
        environment = {"PATH": f"{self.stubs}:/usr/bin:/bin", "AWS_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"} | environment
        stdin = subprocess.DEVNULL
        if typed is not None:
            terminal, stdin = pty.openpty()
            os.write(terminal, typed.encode())
        done = subprocess.run([self.project / "infra" / arguments[0], *arguments[1:]], capture_output=True, text=True, timeout=60,
                              check=False, stdin=stdin, env={key: value for key, value in environment.items() if value is not None})
        self.said = done.stdout + done.stderr
        self.calls = self.stand_ins.calls
        return done.returncode

    def called(self, *words):
        return [call["line"] for call in self.calls if all(word in call["line"] for word in words)]

    def assert_order(self, *wanted):
        at = -1
        for words in wanted:
            at = next((i for i, call in enumerate(self.calls) if i > at and words in call["line"]), None)
            self.assertIsNotNone(at, f"{words!r} does not come next in {[call['line'] for call in self.calls]}")

    def assert_nothing_changed(self):
        self.assertEqual([line for change in CHANGES for line in self.called(change)], [])
        self.assertIn("Nothing was done", self.said)


class Deploy(Scripts):
    def test_a_running_stack_gets_schemas_then_functions_then_the_portal(self):
        self.assertEqual(self.deploy(), 0, self.said)
        self.assert_order("sts get-caller-identity", "sam build", "update-function-code --function-name the-MigrateFunctionName",
                          "wait function-updated", "cargo run", "sam deploy", "s3 cp --recursive", "infra/portal/index.html s3://the-PortalBucketName",
                          "--delete", "create-invalidation")
        self.assertIn("The portal is at the-PortalUrl.", self.said)

    def test_a_new_stack_has_nothing_to_migrate(self):
        self.assertEqual(self.deploy(answers=[new()]), 0, self.said)
        self.assertEqual(self.called("update-function-code") + self.called("migrate"), [])
        self.assert_order("--no-fail-on-empty-changeset", "create-invalidation")

    def test_a_declined_first_change_set_leaves_a_new_stack(self):
        self.assertEqual(self.deploy(answers=[
            (STATE, [stack("REVIEW_IN_PROGRESS", migrate="None"), stack()]), (CHANGE_SETS, [answer("first\n"), answer()])]), 0, self.said)
        self.assertEqual(self.called("update-function-code"), [])
        self.assert_order("sam deploy", "s3 sync")

    def test_an_unreadable_stack_is_not_treated_as_a_new_one(self):
        for error in ["An error occurred (Throttling) when calling the DescribeStacks operation: Rate exceeded",
                      "An error occurred (AccessDenied) when calling the DescribeStacks operation: not authorized",
                      "An error occurred (ValidationError) when calling the DescribeStacks operation: 1 validation error detected",
                      "The config profile (prod) does not exist"]:
            with self.subTest(error):
                self.assertEqual(self.deploy(answers=[(STATE, [answer(code=254, error=error)])]), 1)
                self.assertIn(error, self.said)
                self.assertEqual(self.called("sam build"), [])
                self.assert_nothing_changed()

    def test_a_stack_that_cannot_be_updated_is_rejected(self):
        for state, why in [(stack("UPDATE_IN_PROGRESS"), "wait until that has finished"), (stack("ROLLBACK_COMPLETE", migrate="None"), "delete-stack"),
                           (stack(migrate="None"), "no output MigrateFunctionName"), (stack("UPDATE_ROLLBACK_FAILED"), "continue-update-rollback"),
                           (stack("UPDATE_FAILED"), "rollback-stack"), (stack("DELETE_FAILED"), "delete-stack"), (stack("NEW_STATE"), "NEW_STATE")]:
            with self.subTest(why):
                self.assertEqual(self.deploy(answers=[(STATE, [state])]), 1)
                self.assertIn(why, self.said)
                self.assert_nothing_changed()

    def test_region_and_profile_apply_to_every_step(self):
        for arguments in [("--region", "eu-west-1", "--profile", "other"), ("--region=eu-west-1", "--profile=other")]:
            with self.subTest(arguments):
                self.assertEqual(self.deploy(*arguments, AWS_ACCESS_KEY_ID="another account's"), 0, self.said)
                self.assertGreater(len(self.calls), 15)
                for call in self.calls:
                    used = call["environment"]
                    if call["line"] != "aws --version":
                        self.assertEqual((used["AWS_REGION"], used["AWS_DEFAULT_REGION"], used["AWS_PROFILE"]), ("eu-west-1", "eu-west-1", "other"))
                    self.assertNotEqual(used.get("AWS_ACCESS_KEY_ID"), "another account's")
                self.assertTrue(self.called("sam deploy")[0].endswith("--region eu-west-1"))

    def test_the_region_comes_from_a_variable_or_the_configuration(self):
        configured = [(["configure get region"], [answer("ca-central-1\n")])]
        for environment, region in [({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-west-1"),
                                    ({"AWS_REGION": None, "AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"), ({"AWS_REGION": None}, "ca-central-1")]:
            for script in [("deploy", "prod", UNASKED), ("operate", "prod", "migrate"), ("portal-upload", "prod"), ("roll-back", "prod", "--list")]:
                with self.subTest(script=script, region=region):
                    self.assertEqual(self.run_script(*script, answers=configured, **environment), 0, self.said)
                    used = {call["environment"]["AWS_REGION"] for call in self.calls[1:] if "AWS_REGION" in call["environment"]}
                    self.assertEqual(used, {region})

    def test_nothing_begins_without_region_credentials_or_a_program(self):
        for arguments, others in [((), {"AWS_REGION": None}), (("--region",), {}), ((), {"answers": [(CREDENTIALS, [answer(code=255)])]}),
                                  ((), {"MIGRATE_TOLERATE": "all"}), ((), {"answers": [new(), (LIMITS, [answer(code=255)])]}),
                                  ((), {"answers": [new(), (LOG_GROUPS, [answer(code=255)])]}), ((), {"answers": [(PARAMETERS, [answer(code=255)])]})]:
            with self.subTest(arguments=arguments, others=others):
                self.assertEqual(self.deploy(*arguments, **others), 1)
                self.assert_nothing_changed()
        (self.stubs / "cargo-lambda").unlink()
        self.assertEqual(self.deploy(), 1)
        self.assertIn("missing: cargo-lambda", self.said)
        self.assert_nothing_changed()

    def test_the_tools_that_the_project_installs_are_found(self):
        folder = self.project / "target/tools/bin"
        folder.mkdir(parents=True)
        for tool in ["sam", "cargo-lambda"]:
            (self.stubs / tool).rename(folder / tool)
        self.assertEqual(self.deploy(), 0, self.said)
        self.assertEqual(len(self.called("sam deploy")), 1)

    def test_version_1_of_the_aws_cli_is_rejected(self):
        old = [(["aws --version"], [answer(error="aws-cli/1.45.11 Python/3.11\n")])]
        for script in [("deploy", "prod", UNASKED), ("operate", "prod", "migrate"), ("portal-upload", "prod"), ("roll-back", "prod")]:
            with self.subTest(script):
                self.assertEqual(self.run_script(*script, answers=old), 1)
                self.assertIn("AWS CLI v2 is required", self.said)
                self.assertIn("aws-cli/1.45.11", self.said)
                self.assert_nothing_changed()

    def test_a_stack_name_that_is_too_long_is_rejected(self):
        for name in ["a" * 33, "1st", "under_score", "-", "../prod", "a.b", ""]:
            for script in [("deploy", name, UNASKED), ("operate", name, "migrate"), ("portal-upload", name), ("roll-back", name)]:
                with self.subTest(script):
                    self.assertNotEqual(self.run_script(*script), 0)
                    self.assertEqual(self.calls, [])
        self.assertEqual(self.run_script("deploy", "a" * 32, UNASKED), 0, self.said)

    def test_functions_are_built_for_their_architecture(self):
        overrides = "--parameter-overrides"
        for arguments in [(overrides, "LogLevel=debug", "Architecture=x86_64"), (overrides, "LogLevel=debug Architecture=x86_64"),
                          (overrides + "=Architecture=x86_64",), (overrides, 'Architecture="x86_64"'),
                          (overrides, "ParameterKey=Architecture,ParameterValue=x86_64")]:
            with self.subTest(arguments):
                self.assertEqual(self.deploy(*arguments), 0, self.said)
                self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=x86_64"])
                self.assertTrue(self.called("update-function-code", "--architectures x86_64"))
        self.assertEqual(self.deploy(answers=[running(Architecture="x86_64")]), 0, self.said)
        self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=x86_64"])
        self.assertEqual(self.deploy(answers=[new()]), 0, self.said)
        self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=arm64"])
        self.assertEqual(self.deploy(overrides, "Architecture=sparc"), 1)
        self.assert_nothing_changed()

    def test_a_failed_migration_stops_the_deployment(self):
        self.assertEqual(self.deploy(answers=[(MIGRATE, [answer(code=1)])]), 1)
        self.assertIn("MIGRATE_TOLERATE=N", self.said)
        self.assertEqual(self.called("sam deploy") + self.called("s3://the-PortalBucketName"), [])

    def test_the_migration_gets_the_number_of_tolerated_practices(self):
        self.assertEqual(self.deploy(MIGRATE_TOLERATE="1"), 0, self.said)
        self.assertTrue(self.called("cargo run", "--package officepro-operator -- migrate --all --tolerate 1"))
        self.assertEqual(self.deploy(), 0, self.said)
        # Bridges have no version of their own by which a practice could be left out.
        self.assertTrue(self.called("cargo run", "--package officepro-operator -- migrate --all"))

    def test_a_declined_change_set_leaves_the_portal_unchanged(self):
        for before, after in [(answer(), answer("new\n")), (answer("old\n"), answer("new\told\n")), (answer("None\n"), answer("new\n"))]:
            with self.subTest(before=before, after=after):
                self.assertEqual(self.deploy(answers=[(CHANGE_SETS, [before, after])]), 1)
                self.assertIn("the change set was not executed", self.said)
                self.assertEqual(self.called("s3://the-PortalBucketName") + self.called("create-invalidation"), [])

    def test_the_portal_is_uploaded_even_if_nothing_else_changed(self):
        for left in ["old\n", "None\n", ""]:
            with self.subTest(left):
                self.assertEqual(self.deploy(answers=[(CHANGE_SETS, [answer(left)])]), 0, self.said)
                self.assert_order("sam deploy", "s3 sync")

    def test_a_failed_deployment_leaves_the_portal_unchanged(self):
        self.assertEqual(self.deploy(answers=[(["sam deploy"], [answer(code=1)])]), 1)
        self.assertEqual(self.called("s3://the-PortalBucketName"), [])

    def test_a_failed_first_deployment_lists_the_retained_resources(self):
        left = [(["DELETE_SKIPPED"], [answer("AWS::KMS::Key\tprod-key-1\n")]), (["sam deploy"], [answer(code=1)])]
        self.assertEqual(self.deploy(answers=[new(), *left]), 1)
        self.assertIn("Resources left behind by this attempt, see infra/runbook.md:\nAWS::KMS::Key\tprod-key-1", self.said)
        self.assertFalse((self.project / "infra/stacks/prod.toml").exists())
        self.assertEqual(self.deploy(answers=left), 1)
        self.assertNotIn("prod-key-1", self.said)

    def test_the_runbook_names_all_resources_of_a_failed_first_deployment(self):
        section = (INFRA / "runbook.md").read_text().split("## Deploy for the first time")[1].split("\n## ")[0]
        text = (INFRA.parent / "template.yaml").read_text()
        kept = re.findall(r"(?m)^  (\w+):\n    Type: .*\n    DeletionPolicy: Retain$", text)
        self.assertGreater(len(kept), 10)
        self.assertEqual([name for name in kept if f"`{name}`" not in section], [])

    def test_a_new_stack_rejects_the_log_groups_of_a_previous_one(self):
        self.assertEqual(self.deploy(answers=[new(), (LOG_GROUPS, [answer("/prod/functions\n")])]), 1)
        self.assertIn("delete-log-group --log-group-name /prod/functions", self.said)
        self.assert_nothing_changed()
        self.assertEqual(self.deploy(answers=[new(), (LOG_GROUPS, [answer("None\n")])]), 0, self.said)

    def test_a_portal_without_a_domain_gets_its_address_at_once(self):
        self.assertEqual(self.deploy(answers=[new()]), 0, self.said)
        first, second = self.deployed()
        self.assertEqual((first["PortalOrigin"], second["PortalOrigin"]), ("", "the-PortalUrl"))
        self.assertEqual(first | {"PortalOrigin": "the-PortalUrl"}, second)
        self.assertEqual(self.deploy(answers=[new()]), 0, self.said)
        self.assertEqual(self.deploy("--parameter-overrides", "PortalOrigin=https://portal.example.com", answers=[new()]), 0, self.said)
        self.assertEqual(len(self.called("sam deploy")), 1)


class Parameters(Scripts):
    """A parameter keeps its value until another one is given or it is reset explicitly."""

    GIVEN = {"AlarmTopicArn": "arn:aws:sns:us-east-1:1:ops", "PortalOrigin": "https://here.example.com", "VpcSubnetIds": "subnet-1,subnet-2",
             "VpcSecurityGroupIds": "sg-1", "EdgeSecretVersion": "0a1b", "LogRetentionDays": "365", "Architecture": "x86_64"}

    def test_a_later_deployment_without_arguments_changes_no_parameter(self):
        self.assertEqual(self.deploy(answers=[running(**self.GIVEN)]), 0, self.said)
        self.assertEqual(list(self.deployed()), [DEFAULTS | self.GIVEN])
        self.assertIn("Parameters of prod that change:\n  none", self.said)

    def test_given_values_change_and_are_shown_and_the_others_stay(self):
        self.assertEqual(self.deploy("--parameter-overrides", "AlarmTopicArn=arn:other", "LogLevel=debug", answers=[running(**self.GIVEN)]), 0, self.said)
        self.assertEqual(list(self.deployed()), [DEFAULTS | self.GIVEN | {"AlarmTopicArn": "arn:other", "LogLevel": "debug"}])
        self.assertIn("  LogLevel: info → debug\n  AlarmTopicArn: arn:aws:sns:us-east-1:1:ops → arn:other\n", self.said)

    def test_a_value_becomes_empty_only_with_reset(self):
        answers = [running(**self.GIVEN)]
        self.assertEqual(self.deploy("--parameter-overrides", "AlarmTopicArn=", answers=answers), 1)
        self.assertIn("use --reset AlarmTopicArn", self.said)
        self.assert_nothing_changed()
        for reset in [("--reset", "AlarmTopicArn", "LogRetentionDays"), ("--reset=AlarmTopicArn,LogRetentionDays",)]:
            self.assertEqual(self.deploy(*reset, answers=answers), 0, self.said)
            self.assertEqual(list(self.deployed()), [DEFAULTS | self.GIVEN | {"AlarmTopicArn": "", "LogRetentionDays": "90"}])
            self.assertIn("  AlarmTopicArn: arn:aws:sns:us-east-1:1:ops → (empty)", self.said)

    def test_the_file_of_a_stack_sets_values_but_never_resets_or_hides_one(self):
        file = self.project / "infra/stacks/prod.toml"
        file.parent.mkdir()
        file.write_text('version = 0.1\n[default.deploy.parameters]\nregion = "us-east-1"\ntags = "team=emr"\nparameter_overrides = ["LogLevel=debug"]\n')
        self.assertEqual(self.deploy(answers=[running(**self.GIVEN)]), 0, self.said)
        self.assertEqual(list(self.deployed()), [DEFAULTS | self.GIVEN | {"LogLevel": "debug"}])
        self.assertTrue(self.called("sam deploy", "--tags team=emr"))
        self.assertFalse(self.called("sam deploy", "infra/stacks"), "SAM would read what the other steps don't know")
        self.assertEqual(self.deploy("--parameter-overrides", "LogLevel=warn", answers=[running(**self.GIVEN)]), 0, self.said)
        self.assertEqual(list(self.deployed()), [DEFAULTS | self.GIVEN | {"LogLevel": "warn"}])
        file.write_text('version = 0.1\n[default.deploy.parameters]\nparameter_overrides = "LogLevel=debug PortalOrigin= AlarmTopicArn="\n')
        self.assertEqual(self.deploy(answers=[running(**self.GIVEN)]), 1)
        self.assert_nothing_changed()
        for unreadable in ["version = 0.1\n[other]\n", "[default.deploy.parameters]\n", "version = 0.1\n["]:
            file.write_text(unreadable)
            self.assertEqual(self.deploy(), 1)
            self.assert_nothing_changed()

    def test_a_second_stack_inherits_nothing_from_the_first(self):
        given = ("--parameter-overrides", "AlarmTopicArn=arn:first", "PortalOrigin=https://first.example.com")
        self.assertEqual(self.deploy(*given, "--region", "eu-west-1", answers=[new()]), 0, self.said)
        self.assertEqual(self.run_script("deploy", "second", UNASKED, answers=[new()]), 0, self.said)
        self.assertEqual(next(self.deployed()), DEFAULTS)
        self.assertIn("Parameters of the new stack second:", self.said)
        self.assertTrue(self.called("sam deploy")[0].endswith("--region us-east-1"))

    def test_the_file_of_a_new_stack_contains_its_region_but_no_parameters(self):
        self.assertEqual(self.deploy("--region", "eu-west-1", "--parameter-overrides", "LogLevel=debug", answers=[new()]), 0, self.said)
        file = self.project / "infra/stacks/prod.toml"
        self.assertEqual(tomllib.loads(file.read_text()), {"version": 0.1, "default": {"deploy": {"parameters": {"region": "eu-west-1"}}}})
        for script in [("deploy", "prod", UNASKED), ("operate", "prod", "migrate"), ("portal-upload", "prod")]:
            self.assertEqual(self.run_script(*script, AWS_REGION=None), 0, self.said)
            self.assertEqual({call["environment"].get("AWS_REGION") for call in self.calls[1:]}, {"eu-west-1"})
            self.assertEqual(self.run_script(*script), 1)
            self.assertIn("specifies eu-west-1, but AWS_REGION is us-east-1", self.said)
            self.assert_nothing_changed()

    def test_a_value_invalid_for_cloudformation_is_rejected_before_the_build(self):
        for given in ["PollerReservedConcurrency=00", "PollerReservedConcurrency=\u0663", "ApiRateLimit=" + "9" * 5000, "LogRetentionDays=8",
                      "ApiRateLimit=0", "ApiRateLimit=many", "FanoutMaximumConcurrency=1001", "PortalOrigin=http://a", "NoSuchParameter=1", "LogLevel",
                      "LogLevel=a\nb", "LogLevel='a\nb'", "LogLevel='a\"b'", "LogLevel='a\\b'"]:
            with self.subTest(given):
                self.assertEqual(self.deploy("--parameter-overrides", given), 1)
                self.assertEqual(self.called("sam build"), [])
                self.assert_nothing_changed()
        self.assertEqual(self.deploy("--reset", "NoSuchParameter"), 1)
        self.assert_nothing_changed()
        self.assertEqual(self.deploy("--parameter-overrides", "LogLevel=debug", "--reset", "LogLevel", answers=[running(**self.GIVEN)]), 1)
        self.assertIn("LogLevel is both given and reset", self.said)
        self.assert_nothing_changed()

    def test_values_are_used_as_typed(self):
        for words, level in [(["LogLevel=it's", "ApiRateLimit=7"], "it's"), (["LogLevel=a b", "ApiRateLimit=7"], "a b"), (['LogLevel="a b=c" ApiRateLimit=7'], "a b=c"),
                             (["LogLevel='a  b'", "ApiRateLimit=7"], "a  b"), (["LogLevel=info,visits=debug ApiRateLimit=7"], "info,visits=debug"),
                             ([" ApiRateLimit=7  LogLevel= a "], " a")]:
            with self.subTest(words):
                self.assertEqual(parameters.pairs_in(words, "--parameter-overrides"), {"LogLevel": level, "ApiRateLimit": "7"})
        self.assertEqual(self.deploy("--parameter-overrides", "LogLevel=it's"), 0, self.said)
        file = self.project / "infra/stacks/prod.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text('version = 0.1\n[default.deploy.parameters]\n[default.deploy.parameters.tags]\nteam = "e m r"\n'
                        '[default.deploy.parameters.parameter_overrides]\nLogLevel = "a b"\nApiRateLimit = 7\nVpcSubnetIds = ["a", "b"]\n')
        self.assertEqual(self.deploy(), 0, self.said)
        self.assertTrue(self.called("sam deploy", '--tags team=e m r --stack-name', 'LogLevel="a b"', 'ApiRateLimit="7"', 'VpcSubnetIds="a,b"'))
        for given in ["=x", "Log Level=x", "x"]:
            self.assertEqual(self.deploy("--parameter-overrides", given), 1)
            self.assertNotIn("Traceback", self.said)
            self.assert_nothing_changed()

    def test_new_parameters_get_defaults_and_removed_ones_are_reported(self):
        before = {name: value for name, value in DEFAULTS.items() if name != "LogLevel"} | {"OldOne": "x", "PortalOrigin": "https://a", "Release": "1-a"}
        answers = [(PARAMETERS, [answer(json.dumps([{"ParameterKey": name, "ParameterValue": value} for name, value in before.items()]))])]
        self.assertEqual(self.deploy(answers=answers), 0, self.said)
        self.assertEqual(list(self.deployed()), [DEFAULTS | {"PortalOrigin": "https://a"}])
        self.assertIn("  LogLevel: new → info\n  OldOne: x → removed from the template", self.said)

    def test_the_missing_flag_is_named_first_without_a_terminal(self):
        for arguments, flag in [((), "--no-confirm-changeset"), (("--confirm-changeset",), "--no-confirm-changeset"),
                                (("--guided", UNASKED), "--parameter-overrides")]:
            with self.subTest(arguments):
                self.assertEqual(self.run_script("deploy", "prod", *arguments), 1)
                self.assertIn(f"use {flag}", self.said)
                self.assertEqual(self.called("sam build"), [])
                self.assert_nothing_changed()

    def test_options_that_rename_the_stack_or_its_file_are_rejected(self):
        for arguments in [("--config-file", "other.toml"), ("--config-env=other",), ("--stack-name", "other")]:
            with self.subTest(arguments):
                self.assertEqual(self.deploy(*arguments), 1)
                self.assertIn("is not supported", self.said)
                self.assertEqual(self.called("sam build"), [])
                self.assert_nothing_changed()

    def test_the_change_set_is_confirmed_at_a_terminal(self):
        self.assertEqual(self.run_script("deploy", "prod", typed=""), 0, self.said)
        self.assertTrue(self.called("sam deploy", "--confirm-changeset", "--resolve-s3", "--capabilities CAPABILITY_IAM"))
        self.assertEqual(self.deploy("--s3-bucket", "ours", "--capabilities=CAPABILITY_IAM"), 0, self.said)
        self.assertFalse(self.called("sam deploy", "--resolve-s3") + self.called("sam deploy", " --confirm-changeset"))

    def test_guided_asks_for_each_parameter_and_enter_keeps_its_value(self):
        order = [name for name in DEFAULTS if name != parameters.OWN]
        typed = {"LogLevel": "debug", "LogRetentionDays": "8\n30", "AlarmTopicArn": "reset"}
        lines = "".join(f"{typed.get(name, '')}\n" for name in order)
        self.assertEqual(self.run_script("deploy", "prod", "--guided", typed=lines, answers=[running(**self.GIVEN)]), 0, self.said)
        wanted = self.GIVEN | {"LogLevel": "debug", "LogRetentionDays": "30", "AlarmTopicArn": ""}
        self.assertEqual(list(self.deployed()), [DEFAULTS | wanted])
        self.assertIn("'8' is not one of", self.said)

    def test_an_account_with_low_concurrency_reserves_none(self):
        answers = [new(), (LIMITS, [answer("10\n")])]
        self.assertEqual(self.deploy(answers=answers), 0, self.said)
        self.assertEqual(next(self.deployed())["PollerReservedConcurrency"], "0")
        self.assertIn("PollerReservedConcurrency is 0", self.said)
        self.assertEqual(self.deploy("--parameter-overrides", "PollerReservedConcurrency=2", answers=answers), 0, self.said)
        self.assertEqual(next(self.deployed())["PollerReservedConcurrency"], "2")
        self.assertEqual(self.deploy(answers=[running(PollerReservedConcurrency="4"), (LIMITS, [answer("10\n")])]), 0, self.said)
        self.assertEqual(next(self.deployed())["PollerReservedConcurrency"], "4")

    def test_a_new_version_of_the_edge_secret_is_deployed(self):
        version = "01234567-89ab-cdef-0123-456789abcdef"
        self.assertEqual(self.deploy("--parameter-overrides", f"EdgeSecretVersion={version}"), 0, self.said)
        self.assertEqual(next(self.deployed())["EdgeSecretVersion"], version)

    def test_the_tracked_file_contains_no_values_of_a_deployment(self):
        kept = tomllib.loads((INFRA.parent / "samconfig.toml").read_text())
        self.assertEqual(set(kept["default"]), {"deploy"})
        self.assertEqual(set(kept["default"]["deploy"]["parameters"]), {"capabilities", "resolve_s3", "confirm_changeset", "fail_on_empty_changeset"})
        self.assertIn("/infra/stacks/", (INFRA.parent / ".gitignore").read_text().splitlines())

    def test_parameters_are_parsed_like_sam_and_read_by_sam_as_written(self):
        from samcli.cli.types import CfnParameterOverridesType  # noqa: PLC0415 only this test needs SAM
        from samcli.yamlhelper import yaml_parse  # noqa: PLC0415
        text = (INFRA.parent / "template.yaml").read_text()
        declared = yaml_parse(text)["Parameters"]
        read = parameters.parameters_of(text)
        self.assertEqual(list(read), list(declared))
        for name, one in declared.items():
            for key, value in one.items():
                if key != "AllowedPattern":
                    wanted = [str(choice) for choice in value] if isinstance(value, list) else " ".join(str(value).split())
                    self.assertEqual(read[name][key], wanted, f"{name} {key}")
            self.assertEqual(read[name].get("AllowedPattern"), one.get("AllowedPattern"))
        values = DEFAULTS | self.GIVEN | {parameters.OWN: "1790000003-v3", "LogLevel": "info,visits=debug it's a=b"}
        arguments = settings.sam_arguments("prod", values, {}, [UNASKED], {}, False)
        written = arguments[arguments.index("--parameter-overrides") + 1:]
        self.assertEqual(CfnParameterOverridesType().convert(tuple(written), None, None), values)


class Where(Scripts):
    """Every step of every command works in one region and one account."""

    SCRIPTS = [("deploy", UNASKED), ("operate", "migrate"), ("portal-upload",), ("roll-back", "--list")]

    def file(self, name, **kept):
        path = self.project / "infra/stacks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("version = 0.1\n[default.deploy.parameters]\n" + "".join(f"{key} = {value}\n" for key, value in kept.items()))
        return path

    def used(self, variable):
        return {call["environment"].get(variable) for call in self.calls if call["line"] != "aws --version"}

    def test_the_profile_of_the_file_applies_to_every_step(self):
        self.file("prod.toml", region='"us-east-1"', profile='"other"')
        for script, *arguments in self.SCRIPTS:
            with self.subTest(script):
                self.assertEqual(self.run_script(script, "prod", *arguments, AWS_ACCESS_KEY_ID="another account's"), 0, self.said)
                self.assertEqual(self.used("AWS_PROFILE"), {"other"})
                self.assertNotIn("another account's", self.used("AWS_ACCESS_KEY_ID"))
                self.assertEqual(self.run_script(script, "prod", "--profile", "third", *arguments), 0, self.said)
                self.assertEqual(self.used("AWS_PROFILE"), {"third"})

    def test_settings_that_only_sam_would_know_are_rejected(self):
        for key, value in [("stack_name", '"dev"'), ("template_file", '"other.yaml"'), ("config_env", '"dev"'), ("no_execute_changeset", "true"),
                           ("regoin", '"a"'), ("profile", "1")]:
            self.file("prod.toml", **{key: value})
            for script, *arguments in self.SCRIPTS:
                with self.subTest(key=key, script=script):
                    self.assertEqual(self.run_script(script, "prod", *arguments), 1)
                    self.assertIn(key, self.said)
                    self.assert_nothing_changed()
        (self.project / "infra/stacks/prod.toml").unlink()
        for arguments in [("--template-file", "other.yaml"), ("-t", "other.yaml"), ("--stack-name=dev",), ("--config-env", "dev"),
                          ("--no-execute-changeset",), ("dev",)]:
            with self.subTest(arguments):
                self.assertEqual(self.run_script("deploy", "prod", *arguments, UNASKED), 1)
                self.assert_nothing_changed()

    def test_the_region_of_the_file_is_read_in_any_toml_notation(self):
        for written in ["'eu-west-1'", '"eu-west-1" # Ireland', '"""eu-west-1"""', '"eu\\u002dwest-1"']:
            self.file("prod.toml", region=written)
            for script, *arguments in self.SCRIPTS[2:] if "#" not in written else self.SCRIPTS:
                with self.subTest(written=written, script=script):
                    self.assertEqual(self.run_script(script, "prod", *arguments, AWS_REGION=None), 0, self.said)
                    self.assertEqual(self.used("AWS_REGION"), {"eu-west-1"})
                    self.assertEqual(self.used("AWS_DEFAULT_REGION"), {"eu-west-1"})

    def test_a_stack_name_in_two_regions_has_a_file_for_each(self):
        self.assertEqual(self.deploy("--parameter-overrides", "LogLevel=debug", answers=[new()]), 0, self.said)
        self.assertEqual(self.deploy("--region", "eu-west-1", "--profile", "other", answers=[new()]), 0, self.said)
        self.assertEqual({path.name: settings.saved_in(path) for path in (self.project / "infra/stacks").iterdir()},
                         {"prod.toml": {"region": "us-east-1"}, "prod.eu-west-1.toml": {"region": "eu-west-1", "profile": "other"}})
        for script, *arguments in self.SCRIPTS:
            cases = [(("--region", "eu-west-1"), "us-east-1", "eu-west-1"), (("--region=us-east-1",), "eu-west-1", "us-east-1"), ((), "eu-west-1", "eu-west-1"),
                     ((), "us-east-1", "us-east-1"), ((), None, "us-east-1")]
            for asked, environment, region in cases[:1] if script == "deploy" else cases:
                with self.subTest(script=script, asked=asked, environment=environment):
                    self.assertEqual(self.run_script(script, "prod", *asked, *arguments, AWS_REGION=environment), 0, self.said)
                    self.assertEqual(self.used("AWS_REGION"), {region})
                    self.assertEqual(self.used("AWS_PROFILE"), {"other"} if region == "eu-west-1" else {None})
            self.assertEqual(self.run_script(script, "prod", *arguments, AWS_REGION="ca-central-1"), 1)
            self.assertIn("but AWS_REGION is ca-central-1", self.said)
            self.assert_nothing_changed()

    def test_a_region_is_never_guessed_from_two(self):
        self.file("prod.eu-west-1.toml")
        self.file("prod.us-east-1.toml")
        for script, *arguments in self.SCRIPTS:
            self.assertEqual(self.run_script(script, "prod", *arguments, AWS_REGION=None), 1)
            self.assertIn("prod has files for eu-west-1 and us-east-1", self.said)
            self.assert_nothing_changed()

    def test_a_file_that_names_another_region_is_rejected(self):
        self.file("prod.eu-west-1.toml", region='"us-east-1"')
        self.assertEqual(self.run_script("operate", "prod", "migrate"), 1)
        self.assertIn("specifies region us-east-1", self.said)
        self.file("prod.eu-west-1.toml")
        self.file("prod.toml", region='"eu-west-1"')
        self.assertEqual(self.run_script("operate", "prod", "migrate"), 1)
        self.assertIn("both for eu-west-1", self.said)

    def test_an_option_without_a_value_is_rejected(self):
        for script, *arguments in self.SCRIPTS:
            for asked in [("--region",), ("--region=",), ("--profile", "--region", "us-east-1"), ("--profile", "")]:
                with self.subTest(script=script, asked=asked):
                    self.assertEqual(self.run_script(script, "prod", *arguments, *asked), 1)
                    self.assertIn("needs a value", self.said)
                    self.assertEqual(self.calls, [])

    def test_a_given_bucket_replaces_the_one_of_sam(self):
        for arguments, kept in [(("--s3-bucket", "ours"), {}), ((), {"s3_bucket": '"ours"'}),
                                (("--s3-bucket=ours",), {"s3_bucket": '"theirs"', "resolve_s3": "false"})]:
            self.file("prod.toml", **kept)
            with self.subTest(arguments=arguments, kept=kept):
                self.assertEqual(self.deploy(*arguments), 0, self.said)
                call = self.called("sam deploy")[0]
                self.assertRegex(call, "--s3-bucket[ =]ours ")
                self.assertNotIn(" --resolve-s3", call)
                self.assertNotIn("theirs", call)
                self.assertRegex(call, "--config-file [^ ]*/samconfig.toml ", "the project's file asks for SAM's own bucket")
        for arguments in [("--s3-bucket", "ours", "--resolve-s3"), ("--no-resolve-s3",)]:
            self.file("prod.toml")
            self.assertEqual(self.deploy(*arguments), 1)
            self.assert_nothing_changed()

    def test_settings_for_sam_in_a_file_reach_it(self):
        self.file("prod.toml", role_arn='"arn:role"', notification_arns='["arn:a", "arn:b"]', capabilities='"CAPABILITY_IAM CAPABILITY_NAMED_IAM"',
                  confirm_changeset="false", force_upload="true", s3_prefix='"x"', kms_key_id='"k"')
        self.assertEqual(self.run_script("deploy", "prod"), 0, self.said)
        for words in ["--role-arn arn:role", "--notification-arns arn:a arn:b", "--capabilities CAPABILITY_IAM CAPABILITY_NAMED_IAM", "--force-upload",
                      "--s3-prefix x", "--kms-key-id k"]:
            self.assertTrue(self.called("sam deploy", words), words)
        self.assertFalse(self.called("sam deploy", "confirm"))


class Releases(Scripts):
    """Releases are stored in the order in which they ran, and restored completely."""

    def release(self, version, name=None, **others):
        """Deploys a portal of that version. CloudFormation then reports `name` as the running release."""
        self.write(self.portal, version)
        self.now = name or f"17900{version.rjust(5, '0')}-v"
        self.values = DEFAULTS | {"PortalOrigin": "https://portal.example.com"} | others | {"Release": self.now}
        self.assertEqual(self.deploy(answers=[listed_parameters(self.values)]), 0, self.said)
        return self.now

    def roll_back(self, *named, code=0, answers=(), **values):
        answers = [*answers, listed_parameters(self.values | {"Release": self.now} | values)]
        self.assertEqual(self.run_script("roll-back", "prod", *named, answers=answers), code, self.said)
        if code:
            self.assert_nothing_changed()
        elif self.called("update-stack"):
            to = next(one["ParameterValue"] for one in self.sent if one["ParameterKey"] == "Release")
            # Here CloudFormation still reported the old release when the record was written.
            self.rename_last_record(to)
            self.now = to

    def rename_last_record(self, to):
        path = sorted((self.stubs / "s3/the-ReleasesBucketName/runs").iterdir())[-1]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"release": to}))

    def setUp(self):
        super().setUp()
        self.stand_ins.seen = self.keep_parameters

    def keep_parameters(self, words):
        """Remembers an update's parameters, because their file is deleted afterwards."""
        for word in words:
            if word.startswith("file://") and word.endswith("/parameters"):
                self.sent = json.loads(Path(word.removeprefix("file://")).read_text())

    def served(self):
        return self.stored("the-PortalBucketName")

    def test_a_release_is_named_by_its_second_in_each_pass(self):
        seconds = self.stubs / "seconds"
        self.program("date", f'echo . >> "{seconds}"; echo $((1790000000 + $(grep -c . "{seconds}")))')
        self.assertEqual(self.deploy(answers=[new()]), 0, self.said)
        self.assertEqual([values["PortalOrigin"] for values in self.deployed()], ["", "the-PortalUrl"])
        self.assertEqual([release.split("-")[0] for release in self.releases], ["1790000001", "1790000002"])

    def test_every_deployment_has_a_unique_name_and_is_stored_in_the_bucket(self):
        self.assertEqual(self.deploy(), 0, self.said)
        list(self.deployed())
        self.assertRegex(self.releases[0], r"^[0-9]{10}-[A-Za-z0-9._-]+$")
        kept = self.stored("the-ReleasesBucketName")
        self.assertEqual({name for name in kept if not name.startswith("runs/")},
                         {f"releases/1790000003-v3/{name}" for name in ("template", "portal/index.html", "portal/main.js")})
        self.assertEqual(kept["releases/1790000003-v3/template"], PACKAGED)
        self.assertEqual(json.loads(kept["runs/000001-1790000003-v3.json"])["portal"], 2)
        self.assertEqual(self.deploy("--parameter-overrides", "Release=mine"), 1)
        self.assert_nothing_changed()

    def test_an_incompletely_stored_release_is_ignored(self):
        """If storing the portal, template or record is interrupted, the release is not offered for a roll-back."""
        first, ours = self.release("1"), "s3://the-ReleasesBucketName"
        for cut in [["cp --recursive", f"{ours}/releases/"], ["cp", f"portal/index.html {ours}"], ["sync", ours], ["cp", f"{ours}/releases/1790000002-v/template"],
                    ["cp", f"{ours}/runs/000002"]]:
            with self.subTest(cut):
                self.write(self.portal, "2")
                self.now = "1790000002-v"
                running_then = listed_parameters(self.values | {"Release": self.now})
                self.assertEqual(self.deploy(answers=[(["aws s3", *cut], [answer(code=1)]), running_then]), 1)
                self.assertEqual([name for name in self.stored("the-ReleasesBucketName", "runs") if self.now in name], [])
                self.roll_back()
                self.assertEqual(self.now, first)
                for record in sorted((self.stubs / "s3/the-ReleasesBucketName/runs").iterdir())[1:]:
                    record.unlink()

    def test_the_previous_release_is_restored_without_a_build(self):
        first, second = self.release("1"), self.release("2")
        self.roll_back()
        self.assertEqual(self.called("sam ") + self.called("cargo"), [])
        self.assert_order(f"s3://the-ReleasesBucketName/releases/{first}/template", f"s3://the-ReleasesBucketName/releases/{first}/portal",
                          f"update-stack --stack-name prod --template-url the-ReleasesUrl/releases/{first}/at-once", "wait stack-update-complete",
                          "s3://the-PortalBucketName", "create-invalidation --distribution-id the-PortalDistributionId", "runs/000003")
        self.assertNotIn("DeploymentPreference", self.stored("the-ReleasesBucketName")[f"releases/{first}/at-once"])
        self.assertEqual(self.served(), {"index.html": "<script src=main.js>", "main.js": "1"})
        self.roll_back(second)
        self.assertEqual(self.served()["main.js"], "2")

    def test_a_portal_is_copied_completely_regardless_of_sizes_and_dates(self):
        self.release("1")
        self.release("2")
        self.write(self.portal, "3")
        os.utime(self.portal / "main.js", (0, 0))
        self.assertEqual(self.run_script("portal-upload", "prod"), 0, self.said)
        self.assertEqual(self.served()["main.js"], "3")
        self.roll_back()
        self.assertEqual(self.served()["main.js"], "1")

    def test_the_portal_page_never_names_missing_files(self):
        def order():
            calls = self.called("s3://the-PortalBucketName")
            self.assertIn("--exclude index.html", calls[0])
            return ["page" if "portal/index.html " in line else "delete" if "--delete" in line else "rest" for line in calls]

        self.write(self.portal, "1", **{"old.js": "old"})
        self.release("1")
        self.release("2")
        (self.portal / "old.js").unlink()
        self.write(self.portal, "3", **{"new.js": "new", "index.html": "<script src=new.js>"})
        self.assertEqual(self.run_script("portal-upload", "prod"), 0, self.said)
        self.assertEqual((order(), set(self.served())), (["rest", "page", "delete"], {"index.html", "main.js", "new.js"}))
        self.roll_back()
        self.assertEqual((order(), set(self.served())), (["rest", "page", "delete"], {"index.html", "main.js", "old.js"}))

    def test_an_incomplete_portal_is_rejected_before_anything_changes(self):
        first = self.release("1")
        self.release("2")
        kept = self.stubs / f"s3/the-ReleasesBucketName/releases/{first}"
        for gone in ["portal/main.js", "portal/index.html", "portal", "template"]:
            with self.subTest(gone):
                saved = self.stubs / "saved"
                shutil.copytree(kept, saved)
                shutil.rmtree(kept / gone) if (kept / gone).is_dir() else (kept / gone).unlink()
                self.roll_back(code=1)
                self.assertEqual(self.served()["main.js"], "2")
                shutil.rmtree(kept)
                saved.rename(kept)

    def test_the_previous_release_skips_releases_that_were_rolled_back(self):
        good, bad = self.release("1"), self.release("2")
        self.roll_back()
        self.assertEqual(self.now, good)
        self.release("3")
        self.roll_back()
        self.assertEqual(self.now, good, "the release before was left for its faults")
        self.roll_back(code=1)
        self.assertIn("there is no such release", self.said)
        self.roll_back("--list")
        self.assertEqual(self.said, f"{bad} (rolled back)\n1790000003-v (rolled back)\n{good} (current)\n")
        self.roll_back(bad)
        self.release("4")
        self.roll_back()
        self.assertEqual(self.now, bad, "who names a release wants it")

    def test_the_order_of_releases_is_independent_of_their_names(self):
        late, early = self.release("9"), self.release("1")
        self.roll_back()
        self.assertEqual((self.now, early), (late, "1790000001-v"))

    def test_an_interrupted_roll_back_continues(self):
        first, second = self.release("1"), self.release("2")
        self.now = first
        self.roll_back()
        self.assertEqual(self.called("update-stack"), [])
        self.assertEqual(self.served()["main.js"], "1")
        self.now = second
        self.roll_back(code=1, answers=[(["--query Stacks[0].StackStatus"], [answer("UPDATE_IN_PROGRESS\n")])])
        self.assertIn("wait until that has finished", self.said)

    def test_a_release_that_is_not_stored_is_rejected(self):
        self.values, self.now = DEFAULTS, "1790000001-v"
        self.roll_back(code=1)
        self.release("1")
        for named in ["1790000009-v9", "v", "1790000001"]:
            self.roll_back(named, code=1)

    def test_parameters_stay_but_the_architecture_is_that_of_the_artifacts(self):
        self.release("1", Architecture="arm64")
        self.release("2", Architecture="x86_64", LogLevel="debug")
        self.roll_back()
        sent = {one.pop("ParameterKey"): one for one in self.sent}
        self.assertEqual(sent.pop("Architecture"), {"ParameterValue": "arm64"})
        self.assertEqual(sent.pop("Release"), {"ParameterValue": "1790000001-v"})
        self.assertEqual(set(sent), set(DEFAULTS) - {"Architecture"})
        self.assertTrue(all(one == {"UsePreviousValue": True} for one in sent.values()), sent)

    def test_parameters_that_one_of_two_templates_lacks_keep_their_values(self):
        runs = [{"release": "1-a", "parameters": {"Release": "1-a", "OldOne": "o", "Architecture": "arm64"}},
                {"release": "2-b", "parameters": {"Release": "2-b", "NewOne": "b", "Architecture": "arm64"}}]
        self.assertIn({"ParameterKey": "OldOne", "ParameterValue": "o"}, [*releases.parameters(runs, runs[1]["parameters"], "1-a")])
        self.assertNotIn("NewOne", {one["ParameterKey"] for one in releases.parameters(runs, runs[1]["parameters"], "1-a")})
        runs.append({"release": "1-a", "from": "2-b", "parameters": runs[0]["parameters"]})
        self.assertEqual(releases.last_given(runs), {"NewOne": "b", "OldOne": "o"})
        runs.append({"release": "3-c", "parameters": {"Release": "3-c", "Architecture": "arm64"}})
        self.assertEqual(releases.last_given(runs), {})

    def test_the_deployment_after_a_roll_back_has_the_previous_values(self):
        self.release("1")
        self.release("2", LogLevel="debug", AlarmTopicArn="arn:ops")
        self.roll_back()
        older = {name: value for name, value in self.values.items() if name not in ("LogLevel", "AlarmTopicArn")}
        self.assertEqual(self.deploy(answers=[listed_parameters(older)]), 0, self.said)
        deployed = next(self.deployed())
        self.assertEqual((deployed["LogLevel"], deployed["AlarmTopicArn"]), ("debug", "arn:ops"))
        self.assertIn("  LogLevel: new → debug", self.said)

    def test_tags_stay(self):
        listed_tags = [{"Key": "team", "Value": "e m r"}, {"Key": "a=b", "Value": "c=d"}, {"Key": "aws:x", "Value": "y"}]
        tags = (TAGS, [answer(json.dumps(listed_tags))])
        self.assertEqual(self.deploy("--tags", "cost center=7", "stage=x", answers=[tags]), 1)
        self.assertEqual(self.deploy("--tags", "center=7", "team=b", answers=[tags]), 0, self.said)
        self.assertTrue(self.called("sam deploy", '--tags team=b "a=b"="c=d" center=7 '))
        self.assertEqual(self.deploy("--reset", "tags", answers=[tags]), 0, self.said)
        self.assertFalse(self.called("sam deploy", "--tags"))
        self.release("1")
        self.release("2")
        self.roll_back(answers=[tags])
        self.assertFalse(self.called("update-stack", "--tags"), "an update without tags leaves them; with an empty list it would not")

    def test_sam_reads_tags_as_written(self):
        from samcli.cli.types import CfnTags  # noqa: PLC0415 only this test needs SAM
        tags = {"team": "e m r", "a=b": "c=d", "a:b/c": "x@y", "empty": ""}
        arguments = settings.sam_arguments("prod", {}, tags, [UNASKED], {}, False)
        at = arguments.index("--tags")
        self.assertEqual(CfnTags().convert(tuple(arguments[at + 1:arguments.index("--stack-name")]), None, None), tags)

    def test_a_roll_back_moves_at_once_and_no_alarm_stops_it(self):
        packaged = ("Globals:\n  Function:\n    AutoPublishAlias: live\n    DeploymentPreference:\n      Type:\n        Ref: TrafficShifting\n"
                    "      Alarms:\n        Fn::If:\n        - ShiftsGradually\n    Timeout: 10\nResources: {}\n")
        self.assertEqual(releases.at_once(packaged), "Globals:\n  Function:\n    AutoPublishAlias: live\n    Timeout: 10\nResources: {}\n")


class ReleaseNotes(unittest.TestCase):
    def test_a_tag_has_its_own_section_and_is_the_version(self):
        changelog = "# Changelog\n## Unreleased\n- next\n## 1.0.10 · 2026-12-02\n- ten\n## 1.0.1\n- one\n## 1.0.2\n\n"
        for version, tag, notes in [("1.0.1", "v1.0.1", "- one\n"), ("1.0.10", "v1.0.10", "- ten\n"), ("1.0.1", "v1.0.10", None), ("1.0.10", "v1.0.1", None),
                                    ("1.0.0", "v1.0.0", None), ("1.0.2", "v1.0.2", None), ("1.0.1", "1.0.1", None), ("1.0", "v1.0", None)]:
            with self.subTest(version=version, tag=tag), tempfile.TemporaryDirectory(prefix="notes-") as folder:
                project = Path(folder)
                (project / "infra").mkdir()
                shutil.copy(INFRA / "release-notes", project / "infra")
                (project / "CHANGELOG.md").write_text(changelog)
                (project / "Cargo.toml").write_text(f'[workspace]\nversion = "9"\n[workspace.package]\nversion = "{version}"\n[x]\nversion = "8"\n')
                done = subprocess.run([project / "infra/release-notes", tag], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout if notes else None), (0, notes) if notes else (1, None), done.stderr)


class OfADeployedStack(Scripts):
    def test_a_missing_output_is_named_and_nothing_is_done(self):
        for script, outputs in [(("portal-upload", "prod"), ["PortalBucketName", "PortalDistributionId", "PortalUrl"]),
                                (("operate", "prod", "migrate"), ["ControlTableName", "PracticeSecretsPrefix", "EdgeSecretArn", "DeliveryShards", "MigrateFunctionName", "ApiEndpointUrl"])]:
            for name in outputs:
                for left in [OUTPUTS | {name: "None"}, {key: value for key, value in OUTPUTS.items() if key != name}]:
                    with self.subTest(script=script, name=name):
                        self.assertEqual(self.run_script(*script, answers=[(["OutputKey,OutputValue"], [listed(left)])]), 1)
                        self.assertIn(f"has no output {name}", self.said)
                        self.assert_nothing_changed()

    def test_a_stack_without_outputs_is_rejected(self):
        for script in [("portal-upload", "prod"), ("operate", "prod", "migrate")]:
            for outputs in ["None\n", ""]:
                self.assertEqual(self.run_script(*script, answers=[(["OutputKey,OutputValue"], [answer(outputs)])]), 1)
                self.assert_nothing_changed()

    def test_the_arguments_of_an_operator_reach_the_program_unchanged(self):
        self.program("cargo", f'(for word; do echo "<$word>"; done; echo "$CONTROL_TABLE $PRACTICE_SECRETS_PREFIX $AWS_ACCESS_KEY_ID") > "{self.stubs}/words"')
        self.assertEqual(self.run_script("operate", "prod", "add-practice", "--name", "North  Clinic's $HOME *"), 0, self.said)
        words = (self.stubs / "words").read_text().splitlines()
        self.assertEqual(words[-6:-1], ["<officepro-operator>", "<-->", "<add-practice>", "<--name>", "<North  Clinic's $HOME *>"])
        self.assertEqual(words[-1], "the-ControlTableName the-PracticeSecretsPrefix exported")

    def test_the_version_of_the_edge_secret_that_the_distribution_sends_reaches_the_program(self):
        self.program("cargo", f'echo "<$EDGE_SECRET> <$EDGE_SECRET_VERSION>" > "{self.stubs}/words"')
        answers = [(["OutputKey,OutputValue"], [listed(OUTPUTS | {"EdgeSecretVersion": "unnamed"})])]
        self.assertEqual(self.run_script("operate", "prod", "rotate-edge-secret", answers=answers), 0, self.said)
        self.assertEqual((self.stubs / "words").read_text().strip(), "<the-EdgeSecretArn> <unnamed>")

    def test_restore_reports_name_the_operator_the_stack_and_the_region(self):
        self.program("cargo", f'echo "$OPERATOR_ARN $STACK_NAME $AWS_REGION" > "{self.stubs}/words"')
        arn = "arn:aws:sts::123456789012:assumed-role/Operators/nia"
        for command, said in [("reconcile", f"{arn} prod us-east-1"), ("restore-control", f"{arn} prod us-east-1"), ("migrate", " prod us-east-1")]:
            self.assertEqual(self.run_script("operate", "prod", command, answers=[(["sts get-caller-identity"], [answer(arn + "\n")])]), 0, self.said)
            self.assertEqual((self.stubs / "words").read_text(), said + "\n")

    def test_an_operator_command_without_credentials_does_nothing(self):
        self.assertEqual(self.run_script("operate", "prod", "migrate", answers=[(["export-credentials"], [answer(code=255)])]), 1)
        self.assert_nothing_changed()


if __name__ == "__main__":
    unittest.main()
