"""The linters are shown to see a fault, and the suppressions to cover no more than they name."""

import json
import tempfile
import unittest
from pathlib import Path

from . import LINTERS, judge, suppressions

SUPPRESSED = [{"check": "A1", "resources": ["One", "*Function"], "reason": "why"}]


def planted(linter, resources):
    with tempfile.TemporaryDirectory(prefix="linters-") as folder:
        path = Path(folder) / "template.json"
        path.write_text(json.dumps({"Resources": resources}))
        return {(check, resource) for check, resource, _ in LINTERS[linter](path)}


class Linters(unittest.TestCase):
    def test_a_finding_that_is_not_suppressed_is_told(self):
        left = list(judge([("A1", "One", "wrong"), ("A1", "MeFunction", "wrong"), ("A1", "Two", "wrong"), ("B2", "One", "wrong")], SUPPRESSED))
        self.assertEqual(left, ["A1 Two: wrong", "B2 One: wrong"])

    def test_a_suppression_without_a_finding_is_told(self):
        self.assertEqual(list(judge([("A1", "MeFunction", "wrong")], SUPPRESSED)), ["A1 One: this suppression is not needed any more"])

    def test_every_suppression_has_its_reason(self):
        for linter in LINTERS:
            for one in suppressions(linter):
                self.assertGreater(len(one["reason"]), 30, one)

    def test_cfn_lint_sees_what_only_the_serverless_rules_know(self):
        self.assertIn(("WS1000", "Untraced"), planted("cfn-lint", {"Untraced": {"Type": "AWS::Lambda::Function", "Properties": {
            "Code": {"ZipFile": "pass"}, "Role": "arn:aws:iam::123456789012:role/any", "Handler": "index.handler", "Runtime": "python3.13"}}}))

    def test_checkov_sees_a_queue_that_is_not_encrypted(self):
        self.assertIn(("CKV_AWS_27", "Plain"), planted("checkov", {"Plain": {"Type": "AWS::SQS::Queue", "Properties": {}}}))


if __name__ == "__main__":
    unittest.main()
