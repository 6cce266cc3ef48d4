"""Operates the deployed stack: every operator command, the API through its gateway, and each function with its event files."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

from gate.template import Template

from .deployment import OVERRIDES, STACK, UNASKED

PRACTICE, ATTACHED = "NorthClinic", "SouthClinic"
# The tables of an EMR in the same database.
EMR = Path(__file__).resolve().parents[1] / "bridges/openemr.sql"
# Retries if a store is slow, as callers do.
ATTEMPTS = 4
ALL_SCOPES = "Prospects,Providers,Scheduling,ProductPro.Products,KB,Tickets,Patients,Encounters"


class Operation:
    def __init__(self, workshop):
        self.workshop, self.rehearsed, self.calls = workshop, set(), 0

    def steps(self):
        return [self.health, self.practices, self.api, self.functions, self.access, self.secrets, self.edge, self.events, self.restore, self.bridge, self.removal, self.all_commands]

    def health(self):
        """the API answers through its gateway"""
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in self.workshop.aws(
            "cloudformation", "describe-stacks", "--stack-name", STACK, "--query", "Stacks[0].Outputs")}
        status, body = self.call("GET", "/v1/health")
        assert (status, body["status"]) == (200, "ok"), (status, body)
        assert self.call("GET", "/v1/nothing")[1]["code"] == "NOT_FOUND"

    def practices(self):
        """the catalog and a practice get their databases, and a partner gets its key"""
        self.operate("set-catalog-dsn", "--dsn-stdin", given=self.database("catalog"))
        self.operate("add-practice", PRACTICE, "--name", "North Clinic", "--time-zone", "America/Chicago", "--dsn-stdin", given=self.database("north"))
        self.operate("check-dsn", PRACTICE)
        self.operate("check-dsn", "catalog")
        self.operate("migrate")
        self.operate("migrate", "--all")
        self.operate("set-time-zone", PRACTICE, "America/Denver")
        self.operate("set-practice-dsn", PRACTICE, "--dsn-stdin", given=self.database("north", make=False) + "&application_name=another")
        said = self.operate("first-partner", "--company", "Acme", "--contact", "Kim Lee", "--email", "kim@acme.example", "--practice", PRACTICE,
                            "--key-name", "Acme", "--scopes", ALL_SCOPES)
        self.partner, self.key = re.search(r"prt_[\w-]+", said)[0], re.search(r"op_live_[\w-]+", said)[0]

    def api(self):
        """a partner's calls reach its practice's database and the catalog"""
        status, body = self.call("POST", f"/v1/{PRACTICE}/auth/token", {"apiKey": self.key})
        assert status == 200, (status, body)
        self.token = body["accessToken"]
        person = {"FirstName": "John", "LastName": "Doe", "EMail": "john@example.com"}
        status, made = self.call("POST", f"/v1/{PRACTICE}/prospects", person, self.token)
        assert status == 201, (status, made)
        for path, count in [(f"/v1/{PRACTICE}/prospects?search=doe", 1), (f"/v1/{PRACTICE}/availability/providers", 0), ("/v1/products", 0),
                            (f"/v1/{PRACTICE}/tickets", 0), ("/v1/kb", 0)]:
            status, body = self.call("GET", path, token=self.token)
            assert status == 200 and len(body["data"]) == count, (path, status, body)
        assert self.call("GET", "/v1/me", token=self.token)[1]["data"]["company"] == "Acme"

    def functions(self):
        """every function handles its event files with its stores available, without an error"""
        template, made, count = Template.load(), {}, 0
        for one in self.workshop.aws("cloudformation", "list-stack-resources", "--stack-name", STACK)["StackResourceSummaries"]:
            made[one["LogicalResourceId"]] = one["PhysicalResourceId"]
        for path, group in template.event_files():
            for _ in range(ATTEMPTS):
                answer = self.workshop.project / "answer.json"
                told = self.workshop.aws("lambda", "invoke", "--function-name", made[template.groups()[group]], "--payload", path.read_text(), answer)
                body = json.loads(answer.read_text())
                if (body or {}).get("statusCode") != 503:
                    break
            assert "FunctionError" not in told and (body or {}).get("statusCode", 200) < 500, f"{path.stem}: {told} {body}"
            count += 1
        return [f"{count} events"]

    def access(self):
        """a partner is suspended and reactivated, a key is revoked, and the calls are exported"""
        self.operate("suspend-partner", self.partner)
        status, _ = self.call("POST", f"/v1/{PRACTICE}/auth/token", {"apiKey": self.key})
        assert status in (401, 403), status
        self.operate("reinstate-partner", self.partner)
        status, body = self.call("POST", f"/v1/{PRACTICE}/auth/token", {"apiKey": self.key})
        assert status == 200, (status, body)
        rows = self.operate("export-activity", "--from", at(days=-1), "--to", at(days=1), "--practice", PRACTICE)
        assert f"/v1/{{PPass}}/prospects" in rows, rows
        self.operate("revoke-key", self.key.split("_")[2])
        assert self.call("POST", f"/v1/{PRACTICE}/auth/token", {"apiKey": self.key})[0] == 401

    def secrets(self):
        """token keys and the admin secret are rotated"""
        self.operate("rotate-token-key")
        self.operate("rotate-token-key", "--finish")
        self.operate("rotate-admin-secret")
        self.operate("rotate-admin-secret", "--abort")
        given = "s" * 40
        self.operate("rotate-admin-secret", "--stdin", given=given)
        self.operate("rotate-admin-secret", "--finish", "--stdin", given=given)
        self.operate("rotate-token-key", "--revoke", "k1")

    def edge(self):
        """the edge secret is rotated by a deployment, which first migrates the practices and changes nothing else"""
        version = re.search(r"EdgeSecretVersion=(\S+)", self.operate("rotate-edge-secret"))[1]
        said = self.workshop.run("deploy", STACK, *UNASKED, OVERRIDES, f"EdgeSecretVersion={version}")
        assert "databases are up to date" in said, said
        self.operate("rotate-edge-secret", "--finish")

    def events(self):
        """a dead letter is redriven; a replay finds no subscription, because no endpoint on loopback can sign up"""
        self.workshop.run("aws", "sqs", "send-message", "--endpoint-url", self.workshop.endpoint, "--queue-url", self.outputs["EventsDeadLetterQueueUrl"], "--message-body", "{}")
        assert "1 dead letters" in self.operate("redrive")
        assert "no active subscription" in self.operate("replay", PRACTICE, "--from", at(hours=-2), "--to", at(hours=-1), fails=True)

    def restore(self):
        """a restored control table is copied back, and contradictions are found and repaired"""
        moment = at(hours=-1)
        control, restored = self.outputs["ControlTableName"], f"{STACK}-restored"
        keys = ["AttributeName=pk,AttributeType=S", "AttributeName=sk,AttributeType=S"]
        self.workshop.aws("dynamodb", "create-table", "--table-name", restored, "--billing-mode", "PAY_PER_REQUEST", "--attribute-definitions", *keys,
                          "--key-schema", "AttributeName=pk,KeyType=HASH", "AttributeName=sk,KeyType=RANGE")
        lost = {"pk": {"S": "COUNTER#rehearsal"}, "sk": {"S": "COUNTER"}, "leased": {"N": "7"}}
        self.workshop.run("aws", "dynamodb", "put-item", "--table-name", restored, "--item", json.dumps(lost))
        said = self.operate("restore-control", "--from", restored, "--control-at", moment, fails=True)
        assert "1 were missing" in said, said
        self.operate("restore-control", "--from", restored, "--control-at", moment, "--apply")
        key = {name: lost[name] for name in ("pk", "sk")}
        assert self.workshop.aws("dynamodb", "get-item", "--table-name", control, "--key", json.dumps(key))["Item"] == lost
        said = self.operate("reconcile", PRACTICE, "--database-at", moment, "--control-at", moment, fails=True)
        assert "run again with --apply" in said, said
        report = self.workshop.project / "restore.md"
        said = self.operate("reconcile", "--all", "--database-at", moment, "--control-at", moment, "--apply", "--report", report)
        checks = {one["id"]: one for one in json.loads(report.with_suffix(".json").read_text())["checks"]}
        assert checks[f"{PRACTICE}/record-ids"]["verdict"] == "repaired" and checks[f"{PRACTICE}/writes"]["verdict"] == "good", said
        return [said.strip().splitlines()[-1]]

    def bridge(self):
        """a practice is attached to the tables of its EMR, checked, repaired and detached"""
        given = self.database("south")
        subprocess.run(["psql", "--quiet", "--output=/dev/null", given, "--set=ON_ERROR_STOP=1", "--file", EMR], check=True)
        self.operate("add-practice", ATTACHED, "--name", "South Clinic", "--time-zone", "America/Chicago", "--dsn-stdin", given=given)
        bridge = ["--bridge", "openemr-postgresql"]
        assert "Nothing was changed" in self.operate("attach-practice", ATTACHED, *bridge)
        assert "Both sides match" in self.operate("attach-practice", ATTACHED, *bridge, "--apply")
        for option in [[], ["--trial"], ["--repair"]]:
            assert "Both sides match" in self.operate("check-practice", ATTACHED, *option)
        assert "detach it first" in self.operate("remove-practice", ATTACHED, fails=True)
        assert "are restored" in self.operate("detach-practice", ATTACHED)
        self.operate("remove-practice", ATTACHED)

    def removal(self):
        """a practice without live keys is removed"""
        self.operate("remove-practice", PRACTICE)

    def all_commands(self):
        """every operator command was rehearsed"""
        told = subprocess.run([self.workshop.operators_program, "--help"], capture_output=True, text=True, check=True).stdout
        for command in set(re.findall(r"(?m)^  ([a-z][a-z-]+)  ", told.split("Commands:")[1])) - {"help"}:
            assert command in self.rehearsed, f"{command} is not rehearsed"
        return [", ".join(sorted(self.rehearsed))]

    def operate(self, *arguments, **others):
        self.rehearsed.add(arguments[0])
        return self.workshop.run("operate", STACK, *arguments, **others)

    def call(self, method, path, body=None, token=None):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.outputs["ApiEndpointUrl"] + path, json.dumps(body).encode() if body else None, headers, method=method)
        for _ in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                status, body = error.code, json.loads(error.read())
                if status != 503:
                    break
        return status, body

    def database(self, name, make=True):
        """Returns the connection string of a database, creating it if `make`."""
        server = os.environ["TEST_POSTGRES_URL"]
        if make:
            sql(server, f"create database {name}")
        return f"{server.removesuffix(urlsplit(server).path)}/{name}?sslmode=require"


def at(**after):
    """Returns the time this long after now."""
    return (datetime.now(timezone.utc) + timedelta(**after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def sql(server, statement):
    subprocess.run(["psql", "--quiet", "--output=/dev/null", server, "--command", statement], check=True)
