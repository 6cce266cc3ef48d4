"""The portal's distribution: it leads only to our bucket and our API, sends the listed headers, and passes the caller's address to the API."""

import json
import re

from . import rule
from .secrets import SHOWN_BY_THE_DISTRIBUTION
from .template import NO_VALUE

CERTIFICATE = {"AcmCertificateArn": {"Ref": "PortalCertificateArn"}, "MinimumProtocolVersion": "TLSv1.2_2021", "SslSupportMethod": "sni-only"}
GUARDED = {
    "Enabled": True, "DefaultRootObject": "index.html", "WebACLId": {"Fn::If": ["HasPortalWebAcl", {"Ref": "PortalWebAclArn"}, NO_VALUE]},
    "ViewerCertificate": {"Fn::If": ["HasPortalCertificate", CERTIFICATE, {"CloudFrontDefaultCertificate": True}]},
    "Aliases": {"Fn::If": ["HasPortalCertificate", [{"Fn::Select": [1, {"Fn::Split": ["//", {"Fn::Sub": "${PortalOrigin}//"}]}]}], NO_VALUE]},
}
PORTAL_FILES = {"PathPattern": None, "TargetOriginId": "portal", "AllowedMethods": ["GET", "HEAD"], "ResponseHeadersPolicyId": {"Ref": "PortalHeaders"},
                "FunctionAssociations": None}
API_CALLS = {
    "PathPattern": "/v1/*", "TargetOriginId": "api", "AllowedMethods": ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"],
    # AWS's managed policies CachingDisabled and AllViewerExceptHostHeader: no response is cached,
    # and complete calls reach the API.
    "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "OriginRequestPolicyId": "b689b0a8-53d0-40ab-baf2-68738e2966ac",
    "FunctionAssociations": [{"EventType": "viewer-request", "FunctionARN": {"Fn::GetAtt": ["ViewerAddress", "FunctionARN"]}}],
}
BUCKET = {"Id": "portal", "DomainName": {"Fn::GetAtt": ["PortalBucket", "RegionalDomainName"]}, "S3OriginConfig": {"OriginAccessIdentity": ""},
          "OriginAccessControlId": {"Fn::GetAtt": ["PortalOriginAccess", "Id"]}}
API = {"Id": "api", "DomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
       "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]}}
EDGE_CODE = "function handler(event) {{ event.request.headers['{header}'] = {{value: event.viewer.ip}}; return event.request; }}"
# Name in a response headers policy → the header, and its value from the settings.
SECURITY_HEADERS = {
    "ContentSecurityPolicy": ("content-security-policy", lambda own: own["ContentSecurityPolicy"].strip()),
    "ContentTypeOptions": ("x-content-type-options", lambda own: "nosniff"),
    "ReferrerPolicy": ("referrer-policy", lambda own: own["ReferrerPolicy"]),
    "FrameOptions": ("x-frame-options", lambda own: own["FrameOption"]),
}


def header(template, constant):
    """Returns a header's name from the API's code."""
    source = (template.project / "shared/src/api/auth/viewer.rs").read_text()
    return re.search(rf'{constant}: HeaderName = HeaderName::from_static\("(.+)"\)', source)[1]


@rule
def the_distribution_leads_to_our_own_origins(template):
    (config,) = [one["DistributionConfig"] for one in template.of_type("AWS::CloudFront::Distribution").values()]
    behaviors = [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", [])]
    if len(behaviors) != 2:
        yield f"the distribution has {len(behaviors)} behaviors, not one for /v1/* and one for everything else"
    for place, actual, wanted in [("the distribution", config, GUARDED), ("for portal", behaviors[0], PORTAL_FILES), ("for api", behaviors[1], API_CALLS)]:
        for key, value in wanted.items():
            if actual.get(key) != value:
                yield f"{place}: {key} is {actual.get(key)}"
    # The secret header authenticates the distribution to the API, so no other origin may get it.
    proof = [{"HeaderName": header(template, "EDGE_SECRET"), "HeaderValue": {"Fn::Sub": SHOWN_BY_THE_DISTRIBUTION}}]
    if config["Origins"] != [BUCKET, API | {"OriginCustomHeaders": proof}]:
        yield "the origins are not our bucket and our API, or are configured differently or with other headers"
    for name, access in template.of_type("AWS::CloudFront::OriginAccessControl").items():
        signing = access["OriginAccessControlConfig"]
        if (signing.get("SigningBehavior"), signing.get("SigningProtocol")) != ("always", "sigv4"):
            yield f"{name} does not sign its requests to the bucket"


@rule
def the_api_learns_the_callers_address(template):
    # The code must match exactly: a comment or a second assignment could let callers choose the
    # address.
    code = template.resources["ViewerAddress"]["Properties"].get("FunctionCode", "")
    if code.split() != EDGE_CODE.format(header=header(template, "VIEWER_ADDRESS")).split():
        yield "the code at the edge lets callers choose the address that the API sees"
    for name in sorted({name for name, *_ in template.events("HttpApi")}):
        if template.variables(name).get("EDGE_SECRET") != {"Ref": "EdgeSecret"}:
            yield f"{name} does not know the distribution's secret"


@rule
def portal_files_have_the_listed_headers(template):
    listed = json.loads((template.project / "infra/portal-headers.json").read_text())
    (config,) = [one["ResponseHeadersPolicyConfig"] for one in template.of_type("AWS::CloudFront::ResponseHeadersPolicy").values()]
    security, items = dict(config["SecurityHeadersConfig"]), config["CustomHeadersConfig"]["Items"]
    hsts = security.pop("StrictTransportSecurity", {})
    if hsts.get("AccessControlMaxAgeSec", 0) < 31_536_000 or not hsts.get("IncludeSubdomains"):
        yield "HSTS is shorter than a year, or does not include subdomains"
    sent = {one["Header"].lower(): one["Value"] for one in items}
    sent |= {SECURITY_HEADERS[key][0]: SECURITY_HEADERS[key][1](own) for key, own in security.items()}
    # The local stack sends no-cache by itself.
    for name, value in sorted(set(sent.items()) ^ set((listed | {"cache-control": "no-cache"}).items())):
        yield f"{name}: {value!r} is only in {'the template' if sent.get(name) == value else 'the list'}"
    if not all(one.get("Override") is True for one in [hsts, *security.values(), *items]):
        yield "an origin can replace a header"
