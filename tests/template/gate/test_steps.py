"""The steps of ./check other than the gate are shown to see the faults they are there for,."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from samcli.yamlhelper import yaml_dump

from .template import Template

TOOLS = Path(sys.executable).parent


def cfn_lint(folder, body):
    return finds(folder, body, TOOLS / "cfn-lint", "--template")


def sam_validate(folder, body):
    return finds(folder, body, TOOLS / "sam", "validate", "--region", "us-east-1", "--template-file")


def finds(folder, body, *command):
    path = Path(folder) / "template.yaml"
    path.write_text(yaml_dump(body))
    return subprocess.run([*command, path], capture_output=True, check=False).returncode != 0


class Steps(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="steps-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.template = Template.load().copy()

    def event(self, function, name):
        return self.template.resources[function]["Properties"]["Events"][name]["Properties"]

    def test_cfn_lint_sees_an_unknown_property(self):
        self.template.resources["EventsQueue"]["Properties"]["VisibilityTimeOut"] = 360
        self.assertTrue(cfn_lint(self.folder, self.template.body))

    def test_sam_validate_sees_a_misspelled_property_of_an_event(self):
        self.assertFalse(sam_validate(self.folder, self.template.body))
        event = self.event("MeFunction", "Get")
        event["Methud"] = event.pop("Method")
        self.assertTrue(sam_validate(self.folder, self.template.body))

    def test_only_the_expanded_template_shows_a_dangling_reference_inside_an_event(self):
        self.event("WebhookFanoutFunction", "Events")["Queue"] = {"Fn::GetAtt": ["NoQueue", "Arn"]}
        self.assertFalse(cfn_lint(self.folder, self.template.body))
        self.assertTrue(cfn_lint(self.folder, self.template.expanded()))


if __name__ == "__main__":
    unittest.main()
