"""Every rule finds the faults planted for it, and SAM rejects its own. linters/__main__.py tests the faults for the linters."""

import copy
import tempfile
import unittest
from pathlib import Path

from . import RULES
from .planted import FAULTS, copy_project, plant
from .template import PROJECT, Template

TEMPLATE = Template.load()
BY_NAME = {rule.__name__.replace("_", "-"): rule for rule in RULES}


def told(fault, check):
    """Returns what a check reports for the template with a fault."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        project = PROJECT
        if "file" in fault:
            project = Path(folder)
            copy_project(project)
        broken = Template(copy.deepcopy(TEMPLATE.body), project)
        plant(fault, broken.body, project)
        return list(check(broken))


def refusal(template):
    try:
        template.expanded()
    except Exception as error:  # noqa: BLE001 SAM's errors have no common type
        yield str(error)


class Planted(unittest.TestCase):
    def test_every_fault_is_found(self):
        for fault in FAULTS:
            if fault["by"] == "sam" or fault["by"] in BY_NAME:
                with self.subTest(fault):
                    found = told(fault, BY_NAME.get(fault["by"], refusal))
                    self.assertTrue(any(fault["says"] in one for one in found), found)

    def test_every_rule_has_a_fault_and_every_fault_a_check(self):
        checks = {fault["by"] for fault in FAULTS}
        self.assertEqual(set(BY_NAME) - checks, set())
        self.assertEqual({one for one in checks - set(BY_NAME) - {"sam"} if not one.startswith(("cfn-lint ", "checkov "))}, set())


if __name__ == "__main__":
    unittest.main()
