"""Faults for the rules in portal.py: what is broken, and what the finding must name."""

from .plant import properties, statement, variables


def headers(template):
    return properties(template, "PortalHeaders")["ResponseHeadersPolicyConfig"]


def distribution(template):
    return properties(template, "PortalDistribution")["DistributionConfig"]


def function_code(template, code):
    properties(template, "ViewerAddress").update(FunctionCode=code)


def origin_header(template, **changes):
    distribution(template)["Origins"][1]["OriginCustomHeaders"][0].update(changes)


FAULTS = {
    "portal_has_the_listed_headers": [
        (lambda t: headers(t)["SecurityHeadersConfig"].pop("ContentSecurityPolicy"), "content-security-policy: None"),
        (lambda t: headers(t)["SecurityHeadersConfig"]["StrictTransportSecurity"].update(AccessControlMaxAgeSec=60), "TLS for a year"),
        (lambda t: headers(t)["SecurityHeadersConfig"]["StrictTransportSecurity"].pop("IncludeSubdomains"), "TLS for a year"),
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
    "the_api_hears_who_called_the_distribution": [
        (lambda t: distribution(t)["CacheBehaviors"][0].pop("FunctionAssociations"), "lets viewers say"),
        (lambda t: distribution(t)["CacheBehaviors"][0]["FunctionAssociations"][0].update(EventType="viewer-response"), "lets viewers say"),
        (lambda t: function_code(t, "function handler(event) { return event.request; }"), "lets viewers say"),
        (lambda t: function_code(t, "// event.request.headers['x-officepro-viewer-address'] = {value: event.viewer.ip};\nreturn event.request;"), "lets viewers say"),
        # Only when there is none yet: what a viewer sent would stay.
        (lambda t: function_code(t, "h['x-officepro-viewer-address'] = h['x-officepro-viewer-address'] || {value: event.viewer.ip};"), "lets viewers say"),
        (lambda t: distribution(t)["Origins"][1].pop("OriginCustomHeaders"), "proves itself with None"),
        (lambda t: origin_header(t, HeaderValue="0123456789abcdef0123456789abcdef"), "proves itself with '0123"),
        (lambda t: origin_header(t, HeaderValue={"Fn::Sub": "{{resolve:secretsmanager:${EdgeSecret}:SecretString:current}}"}), "no version"),
        (lambda t: origin_header(t, HeaderName="x-other"), "proves itself with None"),
        (lambda t: distribution(t)["Origins"][0].update(OriginCustomHeaders=distribution(t)["Origins"][1]["OriginCustomHeaders"]), "shows its secret to portal"),
        (lambda t: variables(t, "MetaFunction").pop("EDGE_SECRET"), "MetaFunction does not know"),
        (lambda t: variables(t, "MeFunction").update(EDGE_SECRET={"Ref": "TokenKeysSecret"}), "MeFunction does not know"),
    ],
}
