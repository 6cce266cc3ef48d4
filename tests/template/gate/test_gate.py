"""Each rule is shown to hold: the template passes it, and a fault planted for it makes it speak."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from . import RULES
from .template import FUNCTION, PROJECT, Template

TEMPLATE = Template.load()


def properties(template, name):
    return template.resources[name]["Properties"]


def statement(template, name, sid):
    """The statement with a Sid in a function's policies, a managed policy, a role, a key or a queue policy."""
    own = properties(template, name)
    documents = [one for one in own.get("Policies", []) if "Statement" in one]
    documents += [one["PolicyDocument"] for one in own.get("Policies", []) if "PolicyDocument" in one]
    documents += [own[key] for key in ("PolicyDocument", "KeyPolicy") if key in own]
    return next(one for document in documents for one in document["Statement"] if one.get("Sid") == sid)


def event(template, function, name):
    return properties(template, function)["Events"][name]["Properties"]


def headers(template):
    return properties(template, "PortalHeaders")["ResponseHeadersPolicyConfig"]


def distribution(template):
    return properties(template, "PortalDistribution")["DistributionConfig"]


# Rule → faults: what is broken, and what the finding must name. A fault is a statement about the copy `t`.
FAULTS = {
    "one_default_stage": [(lambda t: properties(t, "Api").update(StageName="prod"), "Api")],
    "throttled": [(lambda t: properties(t, "Api").pop("DefaultRouteSettings"), "Api")],
    "access_log_without_patients": [
        (lambda t: properties(t, "Api").pop("AccessLogSettings"), "no access log"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format='{"path":"$context.path"}'), "$context.path"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format="$context.status"), "not JSON"),
    ],
    "portal_has_the_listed_headers": [
        (lambda t: headers(t)["SecurityHeadersConfig"].pop("ContentSecurityPolicy"), "content-security-policy: None"),
        (lambda t: headers(t)["SecurityHeadersConfig"]["StrictTransportSecurity"].update(AccessControlMaxAgeSec=60), "TLS for a year"),
        (lambda t: headers(t)["CustomHeadersConfig"]["Items"].pop(), "cache-control: None"),
        (lambda t: headers(t)["CustomHeadersConfig"]["Items"][0].update(Value="unsafe-none"), "cross-origin-opener-policy: 'unsafe-none'"),
        (lambda t: headers(t)["CustomHeadersConfig"]["Items"][0].update(Override=False), "replace cross-origin-opener-policy"),
        (lambda t: (t.project / "infra/portal-headers.json").write_text('{"x-new": "1"}'), "x-new: None"),
    ],
    "portal_files_are_private": [
        (lambda t: properties(t, "PortalBucket").pop("PublicAccessBlockConfiguration"), "PortalBucket may become public"),
        (lambda t: properties(t, "PortalBucket").pop("VersioningConfiguration"), "PortalBucket is not encrypted and versioned"),
        (lambda t: statement(t, "PortalBucketPolicy", "OurDistribution").update(Principal="*"), "more than our distribution"),
        (lambda t: statement(t, "PortalBucketPolicy", "TlsOnly").update(Effect="Allow"), "without TLS"),
    ],
    "nothing_of_the_api_is_cached_or_logged": [
        (lambda t: distribution(t)["CacheBehaviors"][0].update(CachePolicyId="658327ea-f89d-4fab-a63d-7e88639e58f6"), "may keep answers"),
        (lambda t: distribution(t)["DefaultCacheBehavior"].pop("ResponseHeadersPolicyId"), "without the portal's headers"),
        (lambda t: distribution(t).update(Logging={"Bucket": "logs"}), "logs queries"),
        (lambda t: distribution(t)["CacheBehaviors"][0].update(ViewerProtocolPolicy="allow-all"), "serves /v1/* without TLS"),
    ],
    "each_route_once": [
        (lambda t: event(t, "TagsFunction", "List").update(Path="/v1/{PPass}/prospects"), "GET /v1/{PPass}/prospects"),
        (lambda t: event(t, "TagsFunction", "List").update(Path="/{PPass}/tags"), "GET /{PPass}/tags"),
        (lambda t: properties(t, "MetaFunction")["Events"].pop("Default"), "nothing answers"),
    ],
    "route_names_its_api": [(lambda t: event(t, "MeFunction", "Get").pop("ApiId"), "MeFunction Get")],
    "every_function_has_an_event_file": [
        (lambda t: (t.project / "events/me-get.json").unlink(), "me.json"),
        (lambda t: (t.project / "events/stray.json").write_text("{}"), "stray.json"),
    ],
    "event_files_take_routes_of_their_function": [
        (lambda t: event(t, "MeFunction", "Get").update(Path="/v1/my"), "me-get.json"),
        (lambda t: rewrite_event(t, "tags-assign", rawPath="/v1/DemoOffice/tags/prospects/7"), "tags-assign.json"),
        (lambda t: rewrite_event(t, "tags-assign", pathParameters={"PPass": "DemoOffice"}), "tags-assign.json"),
    ],
    "one_name_everywhere": [
        (lambda t: properties(t, "TagsFunction").update(CodeUri="functions/labels"), "LabelsFunction"),
        (lambda t: t.resources["LogPollerFunction"].pop("Metadata"), "log-poller"),
    ],
    "every_function_has_its_folder": [
        (lambda t: shutil.rmtree(t.project / "functions/auth"), "functions/auth is in the template only"),
        (lambda t: shutil.copytree(t.project / "functions/auth", t.project / "functions/stray"), "functions/stray is no function"),
        (lambda t: (t.project / "functions/auth/Cargo.toml").write_text('[package]\nname = "you"\n'), "package you"),
    ],
    "one_architecture": [(lambda t: properties(t, "MeFunction").update(Runtime="provided.al2"), "MeFunction")],
    "traced": [(lambda t: properties(t, "MeFunction").update(Tracing="PassThrough"), "MeFunction")],
    "logs_kept_for_a_time": [
        (lambda t: properties(t, "FunctionLogs").pop("RetentionInDays"), "FunctionLogs"),
        (lambda t: properties(t, "MeFunction").update(LoggingConfig={"LogGroup": "elsewhere"}), "MeFunction makes"),
        (lambda t: properties(t, "MeFunction").update(LoggingConfig={"LogFormat": "Text"}), "MeFunction does not log JSON"),
    ],
    "no_secret_in_the_environment": [
        (lambda t: variables(t, "MeFunction").update(TOKEN_KEYS_SECRET="hunter2"), "MeFunction TOKEN_KEYS_SECRET"),
        (lambda t: variables(t, "MeFunction").update(TOKEN_KEYS_SECRET={"Ref": "LogLevel"}), "MeFunction TOKEN_KEYS_SECRET"),
        (lambda t: variables(t, "MeFunction").update(DATABASE="postgres://app:hunter2@db/practice"), "MeFunction DATABASE"),
        (lambda t: variables(t, "MeFunction").update(SIGNING="{{resolve:secretsmanager:keys}}"), "MeFunction SIGNING"),
        (lambda t: variables(t, "MeFunction").update(HOOK="whsec_AAAA"), "MeFunction HOOK"),
        (lambda t: variables(t, "MeFunction").update(SEED="c2VjcmV0" * 5), "MeFunction SEED"),
        (lambda t: variables(t, "MeFunction").update(API_KEY={"Ref": "LogLevel"}), "MeFunction API_KEY"),
    ],
    "api_answers_before_the_gateway_gives_up": [(lambda t: properties(t, "MeFunction").update(Timeout=30), "MeFunction")],
    "batch_failures_reported": [
        (lambda t: event(t, "WebhookFanoutFunction", "Events").pop("FunctionResponseTypes"), "one failure"),
        (lambda t: event(t, "WebhookFanoutFunction", "Events").pop("ScalingConfig"), "nothing bounds"),
    ],
    "visibility_outlasts_the_consumer": [
        (lambda t: properties(t, "EventsQueue").update(VisibilityTimeout=359), "359 s"),
        (lambda t: properties(t, "EventsQueue").pop("VisibilityTimeout"), "30 s"),
        (lambda t: properties(t, "WebhookFanoutFunction").update(Timeout=61), "6 × 61 s"),
    ],
    "schedules_do_not_overlap": [
        (lambda t: properties(t, "LogPollerFunction").update(Timeout=61), "outlast"),
        (lambda t: properties(t, "LogPollerFunction").pop("EventInvokeConfig"), "retried"),
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Input="{shard:0}"), "not JSON"),
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Schedule="cron(* * * * ? *)"), "no rate"),
    ],
    "no_wildcards": [
        (lambda t: statement(t, "WebhooksFunction", "Deliveries").update(Action="dynamodb:*"), "dynamodb:*"),
        (lambda t: statement(t, "CallerPolicy", "TokenKeys").update(Resource="*"), "CallerPolicy TokenKeys allows *"),
        (lambda t: statement(t, "WebhooksFunction", "DeliveriesByIndex").update(Resource={"Fn::Sub": "${DeliveriesTable.Arn}/index/*"}), "index/*"),
        (lambda t: statement(t, "WebhookFanoutRole", "Logs").update(NotAction="iam:*"), "WebhookFanoutRole Logs"),
        (lambda t: statement(t, "WebhookFanoutRole", "Traces").update(Sid="Other"), "not used any more"),
    ],
    "everyone_only_under_conditions": [
        (lambda t: statement(t, "DataKey", "ThroughTheStores").pop("Condition"), "DataKey ThroughTheStores"),
    ],
    "indexes_exist": [
        (lambda t: properties(t, "ControlTable").pop("GlobalSecondaryIndexes"), "gsi1"),
        (lambda t: statement(t, "LogPollerFunction", "DueRetries").update(Action=["dynamodb:Query", "dynamodb:Scan"]), "more than Query"),
    ],
    "allowed_is_what_the_environment_names": [
        (lambda t: variables(t, "LogPollerFunction").pop("EVENTS_QUEUE_URL"), "LogPollerFunction may use EventsQueue"),
        (lambda t: variables(t, "MetaFunction").update(LEDGER_TABLE={"Ref": "LedgerTable"}), "MetaFunction is told of LedgerTable"),
        (lambda t: properties(t, "ProspectsFunction")["Policies"].pop(0), "ProspectsFunction is told of ControlTable"),
        (lambda t: variables(t, "WebhookFanoutFunction").pop("CONTROL_TABLE"), "WebhookFanoutFunction may use ControlTable"),
    ],
    "writes_to_control_by_key": [
        (lambda t: statement(t, "LogPollerFunction", "DispatchStates").pop("Condition"), "LogPollerFunction DispatchStates"),
        (lambda t: statement(t, "WebhookFanoutRole", "Subscriptions")["Condition"]["ForAllValues:StringLike"].update({"dynamodb:LeadingKeys": ["*"]}), "WebhookFanoutRole Subscriptions"),
    ],
    "databases_in_the_vpc": [
        (lambda t: properties(t, "KbFunction").pop("VpcConfig"), "KbFunction cannot reach"),
        (lambda t: properties(t, "VisitsFunction").pop("VpcConfig"), "VisitsFunction cannot reach"),
        (lambda t: properties(t, "WebhookFanoutFunction").update(VpcConfig={}), "WebhookFanoutFunction is in the network"),
    ],
    "only_known_aws_policies": [
        (lambda t: properties(t, "MeFunction")["Policies"].append("arn:aws:iam::aws:policy/AdministratorAccess"), "AdministratorAccess"),
        # Without a role of its own, SAM lets the consumer read every queue.
        (lambda t: properties(t, "WebhookFanoutFunction").pop("Role"), "AWSLambdaSQSQueueExecutionRole"),
    ],
    "dead_letters_kept_two_weeks": [
        (lambda t: properties(t, "EventsDeadLetterQueue").pop("MessageRetentionPeriod"), "EventsDeadLetterQueue"),
        (lambda t: properties(t, "EventsQueue").pop("RedrivePolicy"), "EventsQueue"),
        (lambda t: properties(t, "EventsQueue")["RedrivePolicy"].update(maxReceiveCount=1), "5 receives"),
    ],
    "queues_encrypted": [(lambda t: properties(t, "EventsDeadLetterQueue").pop("KmsMasterKeyId"), "EventsDeadLetterQueue")],
    "queues_by_tls_only": [
        (lambda t: properties(t, "QueuesByTlsOnly")["Queues"].pop(), "EventsDeadLetterQueue"),
        (lambda t: statement(t, "QueuesByTlsOnly", "RefusePlainHttp").update(Action="sqs:SendMessage"), "EventsQueue"),
    ],
    "dead_letters_and_age_alarmed": [
        (lambda t: t.resources.pop("DeadLettersAlarm"), "EventsDeadLetterQueue"),
        (lambda t: t.resources.pop("OldestEventAlarm"), "EventsQueue"),
    ],
    "alarms_reach_somebody": [(lambda t: properties(t, "DeadLettersAlarm").pop("AlarmActions"), "DeadLettersAlarm")],
    "tables_recoverable_and_encrypted": [
        (lambda t: properties(t, "LedgerTable").update(BillingMode="PROVISIONED"), "on demand"),
        (lambda t: properties(t, "LedgerTable").pop("PointInTimeRecoverySpecification"), "point-in-time"),
        (lambda t: properties(t, "LedgerTable")["TimeToLiveSpecification"].update(AttributeName="ttl"), "expiresAt"),
        (lambda t: properties(t, "LedgerTable").pop("SSESpecification"), "not encrypted"),
        (lambda t: properties(t, "LedgerTable").pop("DeletionProtectionEnabled"), "deleted"),
    ],
    "data_outlives_the_stack": [
        (lambda t: t.resources["ControlTable"].pop("DeletionPolicy"), "ControlTable"),
        (lambda t: t.resources["DataKey"].update(UpdateReplacePolicy="Delete"), "DataKey"),
    ],
    "secrets_generated": [
        (lambda t: properties(t, "AdminSecretsSecret").update(SecretString="hunter2"), "AdminSecretsSecret"),
        (lambda t: properties(t, "TokenKeysSecret")["GenerateSecretString"].update(PasswordLength=16), "TokenKeysSecret"),
        (lambda t: properties(t, "TokenKeysSecret").pop("KmsKeyId"), "TokenKeysSecret"),
    ],
    "keys_rotate": [(lambda t: properties(t, "DataKey").pop("EnableKeyRotation"), "DataKey")],
}


def variables(template, name):
    return properties(template, name)["Environment"]["Variables"]


def rewrite_event(template, name, **changes):
    path = template.project / f"events/{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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
        (folder / "infra").mkdir()
        shutil.copy(PROJECT / "infra/portal-headers.json", folder / "infra")
        broken = TEMPLATE.copy()
        broken.project = folder
        fault(broken)
        return broken

    def test_every_rule_speaks_of_the_fault_planted_for_it(self):
        rules = {rule.__name__: rule for rule in RULES}
        for name, faults in FAULTS.items():
            for number, (fault, expected) in enumerate(faults):
                with self.subTest(rule=name, fault=number):
                    before = set(rules[name](TEMPLATE))
                    new = [finding for finding in rules[name](self.with_fault(fault)) if finding not in before]
                    self.assertTrue(any(expected in finding for finding in new), f"{new} does not name {expected!r}")

    def test_every_rule_has_a_fault(self):
        self.assertEqual(sorted(FAULTS), sorted(rule.__name__ for rule in RULES))

    def test_rules_look_at_something(self):
        self.assertGreater(len(TEMPLATE.of_type(FUNCTION)), 0)
        self.assertGreater(len(list(TEMPLATE.routes())), 0)


if __name__ == "__main__":
    unittest.main()
