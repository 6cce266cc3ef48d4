"""infra/deploy, operate and portal-upload, run with stubs of the programs that they call, which record the calls."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2] / "infra"
PROGRAMS = ["aws", "sam", "cargo", "cargo-lambda"]
# Writes down each call and gives the first answer whose words are all in it; of several answers the next each time.
STUB = """
import json, os, sys
os.chdir(os.path.dirname(__file__))
line = " ".join([os.path.basename(sys.argv[1]), *sys.argv[2:]])
with open("calls", "a+") as calls:
    calls.seek(0)
    before = [json.loads(call)["line"] for call in calls]
    environment = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    calls.write(json.dumps({"line": line, "environment": environment}) + "\\n")
for words, answers in json.load(open("answers")):
    matches = lambda call: all(word in call for word in words)
    if matches(line):
        code, output, error = answers[min(sum(map(matches, before)), len(answers) - 1)]
        print(output, end="")
        print(error, end="", file=sys.stderr)
        sys.exit(code)
"""
OUTPUTS = {name: f"the-{name}" for name in [
    "ControlTableName", "DeliveriesTableName", "EventsQueueUrl", "EventsDeadLetterQueueUrl", "TokenKeysSecretArn", "AdminSecretsSecretArn",
    "CatalogDsnSecretArn", "PracticeSecretsPrefix", "DataKeyArn", "MigrateFunctionName", "ApiUrl", "PortalBucketName", "PortalDistributionId", "PortalUrl"]}
STATE, CHANGE_SETS, CREDENTIALS, MIGRATE = ["StackStatus"], ["list-change-sets"], ["get-caller-identity"], ["cargo run", "-- migrate"]
NO_STACK = (254, "", "An error occurred (ValidationError) when calling the DescribeStacks operation: Stack with id prod does not exist")
# What changes something in the account.
CHANGES = ["update-function-code", "migrate", "sam deploy", "s3 sync", "s3 cp", "create-invalidation"]


def answer(output="", code=0, error=""):
    return code, output, error


def stack(status="UPDATE_COMPLETE", architecture="arm64", migrate="the-MigrateFunctionName"):
    return answer(f"{status}\t{architecture}\t{migrate}\n")


def listed(outputs):
    return answer("".join(f"{key}\t{value}\n" for key, value in outputs.items()))


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="scripts-")
        self.addCleanup(folder.cleanup)
        self.project = Path(folder.name) / "a project"
        (self.project / "infra").mkdir(parents=True)
        for script in ["deploy", "operate", "portal-upload", "stack.sh"]:
            shutil.copy(INFRA / script, self.project / "infra")
        (self.project / ".aws-sam/build/MigrateFunction").mkdir(parents=True)
        (self.project / ".aws-sam/build/MigrateFunction/bootstrap").write_text("binary")
        self.stubs = Path(folder.name) / "stubs"
        self.stubs.mkdir()
        (self.stubs / "stub.py").write_text(STUB)
        for program in PROGRAMS:
            self.program(program, f'exec "{sys.executable}" -IS "{self.stubs}/stub.py" "$0" "$@"')
        self.program("python3", f'exec "{sys.executable}" "$@"')

    def program(self, name, line):
        path = self.stubs / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def run_script(self, *arguments, answers=(), **environment):
        """The first of `answers` that fits a call is given; a call that none fits succeeds without output."""
        usual = [(STATE, [stack()]), (["OutputKey,OutputValue"], [listed(OUTPUTS)]),
                 (["export-credentials"], [answer("export AWS_ACCESS_KEY_ID=exported\n")]), (["configure get region"], [answer(code=1)])]
        (self.stubs / "answers").write_text(json.dumps([*answers, *usual]))
        (self.stubs / "calls").unlink(missing_ok=True)
        environment = {"PATH": f"{self.stubs}:/usr/bin:/bin", "AWS_REGION": "us-east-1"} | environment
        done = subprocess.run([self.project / "infra" / arguments[0], *arguments[1:]], capture_output=True, text=True, timeout=60,
                              check=False, env={key: value for key, value in environment.items() if value is not None})
        self.said = done.stdout + done.stderr
        path = self.stubs / "calls"
        self.calls = [json.loads(call) for call in path.read_text().splitlines()] if path.exists() else []
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
    def test_a_stack_that_runs_gets_the_schemas_first_then_the_functions_then_the_portal(self):
        self.assertEqual(self.run_script("deploy", "prod"), 0, self.said)
        self.assert_order("sts get-caller-identity", "sam build", "update-function-code --function-name the-MigrateFunctionName",
                          "wait function-updated", "cargo run", "sam deploy", "s3 sync", "s3 cp", "--delete", "create-invalidation")
        self.assertIn("The portal is at the-PortalUrl.", self.said)

    def test_a_new_stack_has_nothing_to_migrate(self):
        self.assertEqual(self.run_script("deploy", "prod", "--guided", answers=[(STATE, [NO_STACK, stack()])]), 0, self.said)
        self.assertEqual(self.called("update-function-code") + self.called("migrate"), [])
        self.assert_order("sam deploy --no-fail-on-empty-changeset --guided --stack-name prod", "create-invalidation")

    def test_a_first_change_set_that_was_declined_leaves_a_new_stack(self):
        self.assertEqual(self.run_script("deploy", "prod", answers=[
            (STATE, [stack("REVIEW_IN_PROGRESS", migrate="None"), stack()]), (CHANGE_SETS, [answer("first\n"), answer()])]), 0, self.said)
        self.assertEqual(self.called("update-function-code"), [])
        self.assert_order("sam deploy", "s3 sync")

    def test_a_stack_that_cannot_be_read_is_not_taken_for_a_new_one(self):
        for error in ["An error occurred (Throttling) when calling the DescribeStacks operation: Rate exceeded",
                      "An error occurred (AccessDenied) when calling the DescribeStacks operation: not authorized",
                      "An error occurred (ValidationError) when calling the DescribeStacks operation: 1 validation error detected",
                      "The config profile (prod) does not exist"]:
            with self.subTest(error):
                self.assertEqual(self.run_script("deploy", "prod", answers=[(STATE, [answer(code=254, error=error)])]), 1)
                self.assertIn(error, self.said)
                self.assertEqual(self.called("sam build"), [])
                self.assert_nothing_changed()

    def test_a_stack_that_is_no_good_now_is_refused(self):
        for state, why in [(stack("UPDATE_IN_PROGRESS"), "wait for its end"), (stack("ROLLBACK_COMPLETE", migrate="None"), "delete it first"),
                           (stack(migrate="None"), "no output MigrateFunctionName")]:
            with self.subTest(why):
                self.assertEqual(self.run_script("deploy", "prod", answers=[(STATE, [state])]), 1)
                self.assertIn(why, self.said)
                self.assert_nothing_changed()

    def test_region_and_profile_hold_for_every_step(self):
        for arguments in [("--region", "eu-west-1", "--profile", "other"), ("--region=eu-west-1", "--profile=other")]:
            with self.subTest(arguments):
                self.assertEqual(self.run_script("deploy", "prod", *arguments, AWS_ACCESS_KEY_ID="another account's"), 0, self.said)
                self.assertGreater(len(self.calls), 15)
                for call in self.calls:
                    used = call["environment"]
                    self.assertEqual((used["AWS_REGION"], used["AWS_DEFAULT_REGION"], used["AWS_PROFILE"]), ("eu-west-1", "eu-west-1", "other"))
                    self.assertNotEqual(used.get("AWS_ACCESS_KEY_ID"), "another account's")
                self.assertTrue(self.called("sam deploy")[0].endswith("--region eu-west-1"))

    def test_the_region_comes_from_either_variable_or_the_configuration(self):
        configured = [(["configure get region"], [answer("ca-central-1\n")])]
        for environment, region in [({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-west-1"),
                                    ({"AWS_REGION": None, "AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"), ({"AWS_REGION": None}, "ca-central-1")]:
            for script in [("deploy", "prod"), ("operate", "prod", "migrate"), ("portal-upload", "prod")]:
                with self.subTest(script=script, region=region):
                    self.assertEqual(self.run_script(*script, answers=configured, **environment), 0, self.said)
                    self.assertEqual({call["environment"]["AWS_REGION"] for call in self.calls if "AWS_REGION" in call["environment"]}, {region})

    def test_without_region_credentials_or_a_program_nothing_begins(self):
        self.assertEqual(self.run_script("deploy", "prod", AWS_REGION=None), 1)
        self.assert_nothing_changed()
        self.assertEqual(self.run_script("deploy", "prod", "--region"), 1)
        self.assert_nothing_changed()
        self.assertEqual(self.run_script("deploy", "prod", answers=[(CREDENTIALS, [answer(code=255)])]), 1)
        self.assert_nothing_changed()
        self.assertEqual(self.run_script("deploy", "prod", MIGRATE_TOLERATE="all"), 1)
        self.assert_nothing_changed()
        (self.stubs / "cargo-lambda").unlink()
        self.assertEqual(self.run_script("deploy", "prod"), 1)
        self.assertIn("missing: cargo-lambda", self.said)
        self.assert_nothing_changed()

    def test_what_is_built_is_for_the_processor_of_the_functions(self):
        overrides = "--parameter-overrides"
        for arguments in [(overrides, "LogLevel=debug", "Architecture=x86_64", "--guided"), (overrides, "LogLevel=debug Architecture=x86_64"),
                          (overrides + "=Architecture=x86_64",), (overrides, 'Architecture="x86_64"'),
                          (overrides, "ParameterKey=Architecture,ParameterValue=x86_64")]:
            with self.subTest(arguments):
                answers = [(STATE, [stack(), stack(architecture="x86_64")])]
                self.assertEqual(self.run_script("deploy", "prod", *arguments, answers=answers), 0, self.said)
                self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=x86_64"])
                self.assertTrue(self.called("update-function-code", "--architectures x86_64"))
        self.assertEqual(self.run_script("deploy", "prod", answers=[(STATE, [stack(architecture="x86_64")])]), 0, self.said)
        self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=x86_64"])
        self.assertEqual(self.run_script("deploy", "prod", "--guided", answers=[(STATE, [NO_STACK, stack()])]), 0, self.said)
        self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=arm64"])
        self.assertEqual(self.run_script("deploy", "prod", overrides, "Architecture=sparc"), 1)
        self.assert_nothing_changed()

    def test_a_new_version_of_the_edge_secret_is_deployed(self):
        version = "EdgeSecretVersion=01234567-89ab-cdef-0123-456789abcdef"
        self.assertEqual(self.run_script("deploy", "prod", "--parameter-overrides", version), 0, self.said)
        self.assertTrue(self.called("sam deploy", f"--parameter-overrides {version}"))
        self.assertEqual(self.called("sam build"), ["sam build --parameter-overrides Architecture=arm64"])

    def test_functions_that_were_made_for_another_processor_are_told_of(self):
        self.assertEqual(self.run_script("deploy", "prod", "--guided", answers=[(STATE, [NO_STACK, stack(architecture="x86_64")])]), 1)
        self.assertIn("--parameter-overrides Architecture=x86_64", self.said)
        self.assertEqual(self.called("aws s3 "), [])

    def test_a_migration_that_fails_stops_the_deployment(self):
        self.assertEqual(self.run_script("deploy", "prod", answers=[(MIGRATE, [answer(code=1)])]), 1)
        self.assertIn("MIGRATE_TOLERATE=N", self.said)
        self.assertEqual(self.called("sam deploy") + self.called("aws s3 "), [])

    def test_practices_that_may_fail_are_counted_by_the_migration(self):
        self.assertEqual(self.run_script("deploy", "prod", MIGRATE_TOLERATE="1"), 0, self.said)
        self.assertTrue(self.called("cargo run", "-- migrate --tolerate 1 --aws"))
        self.assertEqual(self.run_script("deploy", "prod"), 0, self.said)
        self.assertTrue(self.called("cargo run", "-- migrate --aws"))

    def test_a_declined_change_set_leaves_the_portal_as_it_is(self):
        for before, after in [(answer(), answer("new\n")), (answer("old\n"), answer("new\told\n")), (answer("None\n"), answer("new\n"))]:
            with self.subTest(before=before, after=after):
                self.assertEqual(self.run_script("deploy", "prod", answers=[(CHANGE_SETS, [before, after])]), 1)
                self.assertIn("the change set was not executed", self.said)
                self.assertEqual(self.called("aws s3 ") + self.called("create-invalidation"), [])

    def test_the_portal_is_uploaded_too_when_nothing_else_changed(self):
        for left in ["old\n", "None\n", ""]:
            with self.subTest(left):
                self.assertEqual(self.run_script("deploy", "prod", answers=[(CHANGE_SETS, [answer(left)])]), 0, self.said)
                self.assert_order("sam deploy", "s3 sync")

    def test_a_deployment_that_fails_leaves_the_portal_as_it_is(self):
        self.assertEqual(self.run_script("deploy", "prod", answers=[(["sam deploy"], [answer(code=1)])]), 1)
        self.assertEqual(self.called("aws s3 "), [])


class OfADeployedStack(Scripts):
    def test_an_output_that_is_missing_is_named_and_nothing_is_done(self):
        for script, outputs in [(("portal-upload", "prod"), ["PortalBucketName", "PortalDistributionId", "PortalUrl"]),
                                (("operate", "prod", "migrate"), ["ControlTableName", "MigrateFunctionName", "ApiUrl"])]:
            for name in outputs:
                for left in [OUTPUTS | {name: "None"}, {key: value for key, value in OUTPUTS.items() if key != name}]:
                    with self.subTest(script=script, name=name):
                        self.assertEqual(self.run_script(*script, answers=[(["OutputKey,OutputValue"], [listed(left)])]), 1)
                        self.assertIn(f"has no output {name}", self.said)
                        self.assert_nothing_changed()

    def test_a_stack_without_outputs_is_refused(self):
        for script in [("portal-upload", "prod"), ("operate", "prod", "migrate")]:
            for outputs in ["None\n", ""]:
                self.assertEqual(self.run_script(*script, answers=[(["OutputKey,OutputValue"], [answer(outputs)])]), 1)
                self.assert_nothing_changed()

    def test_an_operators_words_reach_the_program_as_they_are(self):
        self.program("cargo", f'(for word; do echo "<$word>"; done; echo "$CONTROL_TABLE $PRACTICE_SECRETS_PREFIX $AWS_ACCESS_KEY_ID") > "{self.stubs}/words"')
        self.assertEqual(self.run_script("operate", "prod", "add-practice", "--name", "North  Clinic's $HOME *"), 0, self.said)
        words = (self.stubs / "words").read_text().splitlines()
        self.assertEqual(words[-6:-1], ["<-->", "<add-practice>", "<--name>", "<North  Clinic's $HOME *>", "<--aws>"])
        self.assertEqual(words[-1], "the-ControlTableName the-PracticeSecretsPrefix exported")

    def test_a_stack_of_before_practices_secrets_had_its_name_is_operated_too(self):
        before = {name: value for name, value in OUTPUTS.items() if name != "PracticeSecretsPrefix"}
        self.program("cargo", f'echo "<$PRACTICE_SECRETS_PREFIX>" > "{self.stubs}/words"')
        self.assertEqual(self.run_script("operate", "prod", "migrate", answers=[(["OutputKey,OutputValue"], [listed(before)])]), 0, self.said)
        self.assertEqual((self.stubs / "words").read_text().strip(), "<>")

    def test_a_stack_of_before_there_was_an_edge_secret_is_operated_too(self):
        self.program("cargo", f'echo "<$EDGE_SECRET> <$EDGE_SECRET_VERSION>" > "{self.stubs}/words"')
        named = OUTPUTS | {"EdgeSecretArn": "the-EdgeSecretArn", "EdgeSecretVersion": "unnamed"}
        for outputs, words in [(OUTPUTS, "<> <>"), (named, "<the-EdgeSecretArn> <unnamed>")]:
            answers = [(["OutputKey,OutputValue"], [listed(outputs)])]
            self.assertEqual(self.run_script("operate", "prod", "rotate-edge-secret", answers=answers), 0, self.said)
            self.assertEqual((self.stubs / "words").read_text().strip(), words)

    def test_without_credentials_an_operator_does_nothing(self):
        self.assertEqual(self.run_script("operate", "prod", "migrate", answers=[(["export-credentials"], [answer(code=255)])]), 1)
        self.assert_nothing_changed()


if __name__ == "__main__":
    unittest.main()
