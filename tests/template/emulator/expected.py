"""The expected response of each function to its event file when it can reach no store: a proper response, never a crash."""

import base64
import gzip
import json


def problem(*statuses):
    """Expects a problem+json response with one of the statuses."""
    def check(answer, _event):
        headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
        assert answer.get("statusCode") in statuses, f"status {answer.get('statusCode')}"
        assert headers.get("content-type", "").startswith("application/problem+json"), "not problem+json"
        assert headers.get("x-request-id"), "no X-Request-Id"
        assert headers.get("cache-control") == "no-store", "may be cached"
        body = json.loads(answer["body"])
        missing = {"type", "title", "status", "detail", "instance", "code", "requestId"} - set(body)
        assert not missing, f"a problem without {sorted(missing)}"
        assert body["status"] == answer["statusCode"], "the body has another status"
    return check


def healthy(answer, _event):
    assert answer.get("statusCode") == 200, f"status {answer.get('statusCode')}"
    assert "version" in answer["body"], "no version"


def described(answer, _event):
    """The description, compressed by the function: API Gateway's HTTP APIs do not compress."""
    assert answer.get("statusCode") == 200, f"status {answer.get('statusCode')}"
    headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
    assert headers.get("content-encoding") == "gzip" and answer.get("isBase64Encoded"), "not compressed"
    assert headers.get("cache-control") == "public, max-age=300", "may not be cached"
    document = json.loads(gzip.decompress(base64.b64decode(answer["body"])))
    assert document["openapi"] == "3.0.3", f"OpenAPI {document['openapi']}"


def all_messages_back(answer, event):
    """Our own stores are down, so every message returns to the queue."""
    failed = {one["itemIdentifier"] for one in answer.get("batchItemFailures", [])}
    assert failed == {record["messageId"] for record in event["Records"]}, f"failed are {sorted(failed)}"


def own_error(answer, _event):
    """The invocation fails with a reason, so that its alarm rings, and not by a crash or a time-out."""
    assert answer.get("errorType"), "an unreachable store was not reported"
    crashed = answer["errorType"].startswith(("Runtime.", "Sandbox.", "Extension.")) or "panic" in json.dumps(answer).lower()
    assert not crashed, "it crashed"


def nothing_migrated(answer, _event):
    """Stores are unreachable, which is reported for the practice. The catalog of a new stack has no database yet."""
    (outcome,) = answer.get("results", [])
    assert outcome.get("status") == "failed" and outcome.get("error"), json.dumps(answer)
    assert answer.get("catalog", {}).get("status") == "unset", json.dumps(answer)


# Event file → check. An invalid token is rejected before any store is called.
EXPECTED = {
    # The secret is valid, but its use can't be audited without a store, so the call fails.
    "admin-activity": problem(401, 503),
    "admin-audit": problem(401, 503),
    "admin-monitor": problem(401, 503),
    "admin-webhooks": problem(401, 503),
    "admin-overview": problem(401, 503),
    "admin-openapi": problem(401, 503),
    "admin-readiness": problem(401, 503),
    # The limit of failed exchanges is in a store and is checked before the key.
    "auth-token": problem(401, 503),
    "availability-slots": problem(401),
    "kb-get": problem(401),
    "log-poller": own_error,
    "me-get": problem(401),
    "meta-health": healthy,
    "meta-openapi": described,
    "migrate": nothing_migrated,
    "products-upsert": problem(401),
    # The limit of failed sign-ins is in a store and is checked before the key.
    "portal-sign-in": problem(401, 503),
    "prospects-create": problem(401),
    "tags-assign": problem(401),
    "tickets-comment": problem(401),
    "visits-book": problem(401),
    "slow-fanout": all_messages_back,
    "webhook-fanout": all_messages_back,
    "webhooks-replay": problem(401),
    "webhooks-signup": problem(401),
}
