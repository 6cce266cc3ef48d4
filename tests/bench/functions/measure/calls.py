"""The event that a function is measured with: its shortest route that reads, else its event file."""

import base64
import hashlib
import hmac
import json
import time

from .dynamodb import KEY_ID, PARTNER_ID, SCOPES

ISSUER = "officepro-partner-api"


def call_of(group, name, template, surroundings):
    reads = [route for route, function in template.routes() if function == name and route.startswith("GET ")]
    if reads:
        return http_event(min(reads, key=lambda route: (len(route), route)), {
            "authorization": f"Bearer {token(surroundings.token_key)}", "x-admin-secret": surroundings.admin_secret})
    if group == "log-poller":
        return json.dumps({"shard": 0, "of": 1, "once": True}).encode()
    return next(path for path, owner in template.event_files() if owner == group).read_bytes()


def hello_call():
    return http_event("GET /v1/hello", {})


def http_event(route, headers):
    method, template = route.split(" ")
    parameters = {"PPass": "DemoOffice", "id": "1"}
    path = template
    for name, value in parameters.items():
        path = path.replace(f"{{{name}}}", value)
    headers = {name: value for name, value in headers.items() if ("/admin/" in path) == (name == "x-admin-secret")}
    return json.dumps({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "", "headers": {"host": "api.example.com", **headers},
        "pathParameters": {name: value for name, value in parameters.items() if f"{{{name}}}" in template}, "isBase64Encoded": False,
        "requestContext": {
            "accountId": "000000000000", "apiId": "measured", "domainName": "api.example.com", "domainPrefix": "api", "requestId": "measured",
            "routeKey": route, "stage": "$default", "time": "09/Mar/2026:14:00:00 +0000", "timeEpoch": 1773064800000,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.10", "userAgent": "measure"}},
    }).encode()


def token(key):
    """As POST /v1/{PPass}/auth/token answers it."""
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": ISSUER, "sub": KEY_ID, "partner": PARTNER_ID, "ppass": "DemoOffice", "scopes": SCOPES, "keyVersion": 1,
              "iat": now - 5, "nbf": now - 5, "exp": now + 86400 - 5}
    signed = b".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT", "kid": "k1"}, claims))
    return (signed + b"." + part(hmac.new(key.encode(), signed, hashlib.sha256).digest())).decode()
