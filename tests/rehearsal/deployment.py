"""Deploys a stack, changes a parameter, deploys again without arguments, and compares."""

import json
import re
import shutil

from .workshop import BUCKET

STACK, OTHER_REGION = "prod", "eu-west-1"
UNASKED, OVERRIDES = ("--no-confirm-changeset", "--s3-bucket", BUCKET), "--parameter-overrides"
# A deployment from another machine may store its artifacts elsewhere.
OTHER_BUCKET = f"{BUCKET}-other"
TAGS = {"team": "e m r", "stage": "live"}
# Parameters set once, each of which must not become empty.
GIVEN = {"AlarmTopicArn": "arn:aws:sns:us-east-1:000000000000:ops", "VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1",
         "LogRetentionDays": "365"}


class Deployment:
    def __init__(self, workshop, template):
        self.workshop, self.template, self.portals = workshop, template, {}
        self.defaults = {name: str(one["Default"]) for name, one in template.body["Parameters"].items() if name != "Release"}

    def steps(self):
        return [self.prepare, self.refuse_rules, self.refuse_values, self.first, self.change, self.again, self.reset, self.roll_back,
                self.refuse_half, self.elsewhere]

    def prepare(self):
        """the template is expanded and adapted to the emulator"""
        told = self.workshop.build()
        for bucket in (BUCKET, OTHER_BUCKET):
            self.workshop.aws("s3api", "create-bucket", "--bucket", bucket)
        return [f"{reason} ({len(changed)})" for reason, changed in told.items()]

    def refuse_rules(self):
        """rules that CloudFormation does not support are rejected, which shows that ours are checked"""
        def join_in_rules(body):
            body["Rules"]["VpcIsWhole"]["Assertions"][0]["Assert"] = {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "VpcSubnetIds"}]}, ""]}]}

        self.workshop.build(join_in_rules)
        said = self.deploy(fails=True)
        assert "not supported in the Rules block of the template: [Fn::Join]" in said, said
        self.workshop.build()
        self.workshop.run("aws", "cloudformation", "delete-stack", "--stack-name", STACK)

    def refuse_values(self):
        """our rules reject subnets without security groups, the reverse, and a certificate without its host"""
        certificate = "arn:aws:acm:us-east-1:000000000000:certificate/0a1b"
        for values, why in [(["VpcSubnetIds=subnet-1"], "Give both"), (["VpcSecurityGroupIds=sg-1"], "Give both"),
                            ([f"PortalCertificateArn={certificate}"], "give that too")]:
            said = self.deploy(OVERRIDES, *values, fails=True)
            assert why in said, said
            self.workshop.run("aws", "cloudformation", "delete-stack", "--stack-name", STACK)

    def first(self):
        """a new stack is deployed and its portal immediately has an address"""
        self.deploy(OVERRIDES, *(f"{name}={value}" for name, value in GIVEN.items()), "--tags", *(f"{name}={value}" for name, value in TAGS.items()))
        self.expected = self.defaults | GIVEN | {"PortalOrigin": self.outputs()["PortalUrl"]}
        self.compare_parameters()
        self.made = self.resources()
        alarms = self.workshop.aws("cloudwatch", "describe-alarms", "--query", "MetricAlarms[].AlarmActions")
        assert alarms and all(actions == [GIVEN["AlarmTopicArn"]] for actions in alarms), alarms
        return [f"{len(self.made)} resources"]

    def change(self):
        """one parameter changes, and the others stay"""
        said = self.release("//v1", OVERRIDES, "LogLevel=debug")
        self.expected["LogLevel"] = "debug"
        self.compare_parameters()
        self.compare_resources()
        assert "LogLevel: info → debug" in said, said

    def again(self):
        """a deployment without arguments keeps every parameter and every resource"""
        said = self.release("//v2")
        self.compare_parameters()
        self.compare_resources()
        self.compare_tags()
        assert f"Parameters of {STACK} that change:\n  none" in said, said

    def reset(self):
        """an empty value is rejected, and --reset empties it"""
        self.deploy(OVERRIDES, "AlarmTopicArn=", fails=True)
        self.compare_parameters()
        self.release("//v3", "--s3-bucket", OTHER_BUCKET, "--reset", "AlarmTopicArn", "VpcSubnetIds", "VpcSecurityGroupIds")
        self.expected |= {"AlarmTopicArn": "", "VpcSubnetIds": "", "VpcSecurityGroupIds": ""}
        self.compare_parameters()

    def roll_back(self):
        """the previous release is restored without a build, wherever its artifacts are: portal and functions completely, with the current parameters and tags"""
        *_, good, bad = self.portals
        versions = self.versions()
        self.workshop.run("roll-back", STACK)
        self.compare_parameters()
        self.compare_resources()
        self.compare_tags()
        assert self.runs() == good, self.runs()
        assert all(version != versions[name] for name, version in self.versions().items()), "an alias did not move"
        assert self.portal() == self.portals[good], "the portal is not the release's"
        self.release("//v4")
        self.workshop.run("roll-back", STACK)
        assert self.runs() == good, f"{self.runs()}, which is not what ran before"
        assert self.portal() == self.portals[good], "the portal is not the release's"
        told = self.workshop.run("roll-back", STACK, "--list")
        assert f"{bad} (rolled back)" in told and told.endswith(f"{good} (current)\n"), told
        return [f"twice to {good}"]

    def refuse_half(self):
        """a release whose stored portal is incomplete is rejected, and the current one stays"""
        oldest, now, portal = next(iter(self.portals)), self.runs(), self.portal()
        self.workshop.run("aws", "s3", "rm", "--recursive", f"s3://{self.outputs()['ReleasesBucketName']}/releases/{oldest}/portal")
        assert "but has 0 files" in self.workshop.run("roll-back", STACK, oldest, fails=True)
        assert (self.runs(), self.portal()) == (now, portal), "something changed"

    def elsewhere(self):
        """a stack of the same name in a second region is deployed twice and operated, without conflicts with the first and without inheriting from it"""
        self.workshop.aws("s3api", "create-bucket", "--bucket", f"{BUCKET}-2", "--create-bucket-configuration",
                          f"LocationConstraint={OTHER_REGION}", region=OTHER_REGION)
        before, there = self.resources(), ("--region", OTHER_REGION)
        self.workshop.run("deploy", STACK, *there, *UNASKED, "--s3-bucket", f"{BUCKET}-2")
        parameters = self.parameters(region=OTHER_REGION)
        assert {name: parameters[name] for name in self.defaults} | {"PortalOrigin": ""} == self.defaults, parameters
        said = self.workshop.run("deploy", STACK, *there, *UNASKED, "--s3-bucket", f"{BUCKET}-2")
        assert f"Parameters of {STACK} that change:\n  none" in said, said
        self.workshop.run("portal-upload", STACK, region=OTHER_REGION)
        assert len(self.workshop.run("roll-back", STACK, "--list", *there).splitlines()) == 2
        self.workshop.run("roll-back", STACK, *there)
        assert self.resources() == before, "the stack in the first region changed"
        # The emulator generates the same names for both, unlike AWS. These are named by the
        # template.
        others = self.resources(region=OTHER_REGION)
        for name in ("PortalOriginAccess", "PortalHeaders", "ViewerAddress", "Dashboard"):
            assert before[name] != others[name], f"both have {name} {before[name]}"

    def release(self, version, *arguments):
        """Deploys a portal whose files have the same sizes as before; returns the output. Its release is the last of `portals`."""
        main = self.workshop.project / "infra/portal/main.js"
        main.write_text(re.sub(r"(//v[0-9])?\Z", version, main.read_text(), count=1))
        said = self.deploy(*arguments)
        self.portals[self.runs()] = self.portal()
        return said

    def runs(self):
        return self.parameters()["Release"]

    def portal(self):
        """Returns name → contents of all files in the portal's bucket."""
        folder = self.workshop.project / "served"
        shutil.rmtree(folder, ignore_errors=True)
        self.workshop.run("aws", "s3", "cp", "--recursive", "--only-show-errors", f"s3://{self.outputs()['PortalBucketName']}", folder)
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert len(found) > 20, f"the portal has {len(found)} files"
        return found

    def deploy(self, *arguments, **others):
        return self.workshop.run("deploy", STACK, *UNASKED, *arguments, **others)

    def describe(self, what, **others):
        return self.workshop.aws("cloudformation", "describe-stacks", "--stack-name", STACK, "--query", f"Stacks[0].{what}", **others)

    def outputs(self):
        return {one["OutputKey"]: one["OutputValue"] for one in self.describe("Outputs")}

    def parameters(self, **others):
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.describe("Parameters", **others)}

    def versions(self):
        """Returns function → the version that its alias points to."""
        functions = [value for name, value in self.resources().items() if name.endswith("Function") and value.startswith(f"{STACK}-")]
        return {name: self.workshop.aws("lambda", "get-alias", "--function-name", name, "--name", "live")["FunctionVersion"] for name in functions}

    def resources(self, **others):
        """Returns logical id → physical id, except for function versions, of which each release has its own."""
        listed = self.workshop.aws("cloudformation", "list-stack-resources", "--stack-name", STACK, **others)["StackResourceSummaries"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed if one["ResourceType"] != "AWS::Lambda::Version"}

    def compare_parameters(self):
        found = self.parameters()
        wrong = {name: (value, found.get(name)) for name, value in self.expected.items() if found.get(name) != value}
        assert not wrong and set(found) == {*self.expected, "Release"}, f"parameters (expected, found): {json.dumps(wrong, indent=1)}"

    def compare_tags(self):
        found = {one["Key"]: one["Value"] for one in self.describe("Tags")}
        assert found == TAGS, f"tags: {found}"

    def compare_resources(self):
        found = self.resources()
        wrong = {name: (self.made.get(name), found.get(name)) for name in {*self.made, *found} if self.made.get(name) != found.get(name)}
        assert not wrong, f"resources (before, after): {json.dumps(wrong, indent=1)}"
