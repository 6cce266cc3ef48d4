"""The portal's distribution: it leads to our bucket and our API only, serves the listed headers, and tells the API who called."""

import json
import re

from . import rule
from .secrets import SHOWN_BY_THE_DISTRIBUTION
from .template import NO_VALUE, references, text

BUCKET = {"DomainName": {"Fn::GetAtt": ["PortalBucket", "RegionalDomainName"]}, "OriginAccessControlId": {"Fn::GetAtt": ["PortalOriginAccess", "Id"]},
          "S3OriginConfig": {"OriginAccessIdentity": ""}}
API = {"DomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
       "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]}}
# AWS's own CachingDisabled and AllViewerExceptHostHeader: answers are never kept, and whole calls reach the API.
NOT_CACHED, WHOLE_CALLS = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "b689b0a8-53d0-40ab-baf2-68738e2966ac"
READS, ALL_CALLS = {"GET", "HEAD"}, {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}
AT_THE_EDGE = [{"EventType": "viewer-request", "FunctionARN": {"Fn::GetAtt": ["ViewerAddress", "FunctionARN"]}}]
EDGE_CODE = "function handler(event) {{ event.request.headers['{header}'] = {{value: event.viewer.ip}}; return event.request; }}"
TLS = {"Fn::If": ["HasPortalCertificate", {"AcmCertificateArn": {"Ref": "PortalCertificateArn"}, "MinimumProtocolVersion": "TLSv1.2_2021",
                                           "SslSupportMethod": "sni-only"}, {"CloudFrontDefaultCertificate": True}]}
HOST = {"Fn::If": ["HasPortalCertificate", [{"Fn::Select": [1, {"Fn::Split": ["//", {"Ref": "PortalOrigin"}]}]}], NO_VALUE]}
# Names in a response headers policy → the header, and its value from the settings.
SECURITY_HEADERS = {
    "ContentSecurityPolicy": ("content-security-policy", lambda own: own["ContentSecurityPolicy"].strip()),
    "ContentTypeOptions": ("x-content-type-options", lambda own: "nosniff"),
    "ReferrerPolicy": ("referrer-policy", lambda own: own["ReferrerPolicy"]),
    "FrameOptions": ("x-frame-options", lambda own: own["FrameOption"]),
}


def distribution(template):
    (config,) = template.of_type("AWS::CloudFront::Distribution").values()
    return config["DistributionConfig"]


@rule
def the_distribution_leads_to_our_own_origins(template):
    config = distribution(template)
    origins = {one["Id"]: {key: value for key, value in one.items() if key not in ("Id", "OriginCustomHeaders")} for one in config["Origins"]}
    if origins != {"portal": BUCKET, "api": API}:
        yield "an origin is not our bucket or our API, or is reached in another way"
    behaviors = [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", [])]
    leads = [(one.get("PathPattern"), one["TargetOriginId"], set(one.get("AllowedMethods", []))) for one in behaviors]
    if leads != [(None, "portal", READS), ("/v1/*", "api", ALL_CALLS)]:
        yield f"calls take other ways than /v1/* to the API and reads of all else to the portal: {leads}"
    for one in behaviors:
        edge, of_the_api = one.get("FunctionAssociations", []), one["TargetOriginId"] == "api"
        if edge != (AT_THE_EDGE if of_the_api else []):
            yield f"another function runs at the edge for {one['TargetOriginId']}"
        if of_the_api and (one.get("CachePolicyId"), one.get("OriginRequestPolicyId")) != (NOT_CACHED, WHOLE_CALLS):
            yield "answers of the API may be cached, or calls reach it in part"
    for name, access in template.of_type("AWS::CloudFront::OriginAccessControl").items():
        signing = access["OriginAccessControlConfig"]
        if (signing.get("SigningBehavior"), signing.get("SigningProtocol")) != ("always", "sigv4"):
            yield f"{name} does not sign its requests to the bucket"


@rule
def the_distribution_is_guarded(template):
    config = distribution(template)
    if (config.get("ViewerCertificate"), config.get("Aliases")) != (TLS, HOST):
        yield "the portal answers under another name or by older TLS"
    if config.get("WebACLId") != {"Fn::If": ["HasPortalWebAcl", {"Ref": "PortalWebAclArn"}, NO_VALUE]}:
        yield "the given web ACL does not guard the portal"
    if config.get("Enabled") is not True or config.get("DefaultRootObject") != "index.html":
        yield "the distribution does not serve the portal"


@rule
def portal_files_have_the_listed_headers(template):
    listed = json.loads((template.project / "infra/portal-headers.json").read_text())
    if references(distribution(template)["DefaultCacheBehavior"].get("ResponseHeadersPolicyId")) != {"PortalHeaders"}:
        yield "the portal's files are served without their headers"
    for policy in template.of_type("AWS::CloudFront::ResponseHeadersPolicy").values():
        config = policy["ResponseHeadersPolicyConfig"]
        security, items = dict(config["SecurityHeadersConfig"]), config["CustomHeadersConfig"]["Items"]
        hsts = security.pop("StrictTransportSecurity", {})
        if hsts.get("AccessControlMaxAgeSec", 0) < 31_536_000 or not hsts.get("IncludeSubdomains"):
            yield "browsers are not held to TLS for a year, on subdomains too"
        sent = {one["Header"].lower(): one["Value"] for one in items} | {
            SECURITY_HEADERS[key][0]: SECURITY_HEADERS[key][1](own) for key, own in security.items()}
        # The local stack sends no-cache by itself.
        for header, value in sorted(set(sent.items()) ^ set((listed | {"cache-control": "no-cache"}).items())):
            yield f"{header}: {value!r} is only in {'the template' if sent.get(header) == value else 'the list'}"
        if not all(one.get("Override") is True for one in [hsts, *security.values(), *items]):
            yield "an origin can replace a header"


@rule
def the_api_learns_the_callers_address(template):
    """The function at the edge sets the caller's address, a secret header proves it, and the API's functions know that secret."""
    source = (template.project / "shared/src/api/viewer.rs").read_text()
    address, proof = (re.search(rf'{name}: HeaderName = HeaderName::from_static\("(.+)"\)', source)[1] for name in ("VIEWER_ADDRESS", "EDGE_SECRET"))
    # The code is compared to the letter: a comment or a second assignment would let callers choose the address.
    code = template.resources["ViewerAddress"]["Properties"].get("FunctionCode", "")
    if code.split() != EDGE_CODE.format(header=address).split():
        yield "the code at the edge lets callers choose the address that the API sees"
    for origin in distribution(template)["Origins"]:
        shown = {one["HeaderName"]: text(one["HeaderValue"]) for one in origin.get("OriginCustomHeaders", [])}
        if shown != ({proof: SHOWN_BY_THE_DISTRIBUTION} if origin["Id"] == "api" else {}):
            yield f"the origin {origin['Id']} gets the headers {sorted(shown)}, or the wrong secret in them"
    for name in sorted({name for name, *_ in template.events("HttpApi")}):
        if template.variables(name).get("EDGE_SECRET") != {"Ref": "EdgeSecret"}:
            yield f"{name} does not know the distribution's secret"
