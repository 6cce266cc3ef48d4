"""Rules about the portal: who reads its files, and the headers they come with."""

import json
import re

from .template import references, text

# Names in a response headers policy → what the header is called and its value made of the settings.
SECURITY = {
    "ContentSecurityPolicy": ("content-security-policy", lambda own: own["ContentSecurityPolicy"].strip()),
    "ContentTypeOptions": ("x-content-type-options", lambda own: "nosniff"),
    "ReferrerPolicy": ("referrer-policy", lambda own: own["ReferrerPolicy"]),
    "FrameOptions": ("x-frame-options", lambda own: own["FrameOption"]),
}
# What the distribution adds by itself: the local stack has no TLS, and says no-cache of its own.
BEYOND = {"cache-control": "no-cache"}

# The code at the edge.
TELLS_THE_ADDRESS = "function handler(event) {{ event.request.headers['{header}'] = {{value: event.viewer.ip}}; return event.request; }}"


def portal_has_the_listed_headers(template):
    listed = json.loads((template.project / "infra/portal-headers.json").read_text())
    for name, policy in template.of_type("AWS::CloudFront::ResponseHeadersPolicy").items():
        config = policy["ResponseHeadersPolicyConfig"]
        security = dict(config.get("SecurityHeadersConfig", {}))
        held = security.pop("StrictTransportSecurity", {})
        if held.get("AccessControlMaxAgeSec", 0) < 31_536_000 or not held.get("IncludeSubdomains") or not held.get("Override"):
            yield f"{name} does not hold browsers to TLS for a year, those of its subdomains too"
        items = config.get("CustomHeadersConfig", {}).get("Items", [])
        sent = {one["Header"].lower(): one["Value"] for one in items}
        sent |= {SECURITY[key][0]: SECURITY[key][1](own) for key, own in security.items()}
        for header in sorted(set(sent) | set(listed) | set(BEYOND)):
            wanted = (listed | BEYOND).get(header)
            if sent.get(header) != wanted:
                yield f"{name} sends {header}: {sent.get(header)!r}, the list says {wanted!r}"
        for key, own in [*security.items(), *((one["Header"], one) for one in items)]:
            if own.get("Override") is not True:
                yield f"{name} lets an origin replace {key}"


def portal_files_are_private(template):
    for name, bucket in template.of_type("AWS::S3::Bucket").items():
        block = bucket.get("PublicAccessBlockConfiguration", {})
        if set(block.values()) != {True} or len(block) != 4:
            yield f"{name} may become public"
        if not bucket.get("BucketEncryption") or bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{name} is not encrypted and versioned"
    for name, policy in template.of_type("AWS::S3::BucketPolicy").items():
        statements = policy["PolicyDocument"]["Statement"]
        for one in statements:
            condition = one.get("Condition", {}).get("StringEquals", {})
            if one["Effect"] == "Allow" and (one["Principal"] != {"Service": "cloudfront.amazonaws.com"} or "AWS:SourceArn" not in condition):
                yield f"{name} lets more than our distribution read"
        if not any(one["Effect"] == "Deny" and one.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}} for one in statements):
            yield f"{name} allows calls without TLS"


def nothing_of_the_api_is_cached_or_logged(template):
    for name, distribution in template.of_type("AWS::CloudFront::Distribution").items():
        config = distribution["DistributionConfig"]
        behaviours = {one["PathPattern"]: one for one in config.get("CacheBehaviors", [])}
        api = behaviours.get("/v1/*", {})
        if api.get("CachePolicyId") != "4135ea2d-6df8-44a3-9df3-4b5a84be39ad":
            yield f"{name} may keep answers of /v1/*"
        if "ResponseHeadersPolicyId" not in config["DefaultCacheBehavior"]:
            yield f"{name} sends files without the portal's headers"
        if "Logging" in config:
            yield f"{name} logs queries, which can name patients"
        for path, one in {"/": config["DefaultCacheBehavior"], **behaviours}.items():
            if one.get("ViewerProtocolPolicy") not in ("https-only", "redirect-to-https"):
                yield f"{name} serves {path} without TLS"


def the_api_hears_who_called_the_distribution(template):
    """Its function sets the caller's address, its origin's header proves it, and every function of the API knows that secret."""
    source = (template.project / "shared/src/api/viewer.rs").read_text()
    address, proof = (re.search(rf'{name}: HeaderName = HeaderName::from_static\("(.+)"\)', source)[1] for name in ("VIEWER_ADDRESS", "EDGE_SECRET"))
    functions, secrets = template.of_type("AWS::CloudFront::Function"), template.of_type("AWS::SecretsManager::Secret")
    shown = set()
    for name, distribution in template.of_type("AWS::CloudFront::Distribution").items():
        config = distribution["DistributionConfig"]
        api = next((one for one in config.get("CacheBehaviors", []) if one["PathPattern"] == "/v1/*"), {})
        called = [one for one in api.get("FunctionAssociations", []) if one["EventType"] == "viewer-request"]
        code = "".join(functions[one].get("FunctionCode", "") for one in references([one["FunctionARN"] for one in called]) & set(functions))
        # To the letter: a line that stands in a comment, or is undone by the next, would let viewers say it.
        if code.split() != TELLS_THE_ADDRESS.format(header=address).split():
            yield f"{name} lets viewers say where they call from"
        for origin in config["Origins"]:
            sent = {one["HeaderName"]: text(one["HeaderValue"]) for one in origin.get("OriginCustomHeaders", [])}
            dynamic = re.fullmatch(r"\{\{resolve:secretsmanager:\$\{(\w+)\}:SecretString:current::\$\{EdgeSecretVersion\}\}\}", sent.get(proof, ""))
            if origin["Id"] == api.get("TargetOriginId") and not (dynamic and dynamic[1] in secrets):
                yield f"{name} proves itself with {sent.get(proof)!r}, no version of a secret"
            elif origin["Id"] != api.get("TargetOriginId") and proof in sent:
                yield f"{name} shows its secret to {origin['Id']}"
            shown |= {dynamic[1]} if dynamic else set()
    for name in sorted({name for name, *_ in template.events("HttpApi")}):
        if references(template.functions()[name].get("Environment", {}).get("Variables", {}).get("EDGE_SECRET")) != shown:
            yield f"{name} does not know the distribution"


RULES = [
    portal_has_the_listed_headers, portal_files_are_private, nothing_of_the_api_is_cached_or_logged, the_api_hears_who_called_the_distribution,
]
