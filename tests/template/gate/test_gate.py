"""Each rule is shown to hold: the template passes it, and a fault planted for it makes it speak."""

import shutil
import tempfile
import unittest
from pathlib import Path

from . import RULES
from .faults import FAULTS
from .template import FUNCTION, PROJECT, Template

TEMPLATE = Template.load()


class Gate(unittest.TestCase):
    def with_fault(self, fault):
        """A copy of the template and of the few files that rules read, with the fault planted."""
        folder = Path(tempfile.mkdtemp(prefix="gate-"))
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(PROJECT / "events", folder / "events")
        for manifest in PROJECT.glob("functions/*/Cargo.toml"):
            target = folder / manifest.relative_to(PROJECT)
            target.parent.mkdir(parents=True)
            shutil.copy(manifest, target)
        shutil.copytree(PROJECT / "shared/src/control", folder / "shared/src/control")
        for file in ("infra/portal-headers.json", "infra/runbook.md", "shared/src/telemetry/metrics.rs", "shared/src/api/viewer.rs"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / file, folder / file)
        broken = TEMPLATE.copy()
        broken.project = folder
        fault(broken)
        return broken

    def test_every_rule_speaks_of_the_fault_planted_for_it(self):
        rules = {rule.__name__: rule for rule in RULES}
        for name, faults in FAULTS.items():
            before = set(rules[name](TEMPLATE))
            for number, (fault, expected) in enumerate(faults):
                with self.subTest(rule=name, fault=number):
                    new = [finding for finding in rules[name](self.with_fault(fault)) if finding not in before]
                    self.assertTrue(any(expected in finding for finding in new), f"{new} does not name {expected!r}")

    def test_every_rule_has_a_fault(self):
        self.assertEqual(sorted(FAULTS), sorted(rule.__name__ for rule in RULES))

    def test_rules_look_at_something(self):
        self.assertGreater(len(TEMPLATE.of_type(FUNCTION)), 0)
        self.assertGreater(len(list(TEMPLATE.routes())), 0)


if __name__ == "__main__":
    unittest.main()
