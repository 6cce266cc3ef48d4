"""Faults for the rules in portal.py: what is broken, and what the finding must name."""

from .plant import properties, statement


def headers(template):
    return properties(template, "PortalHeaders")["ResponseHeadersPolicyConfig"]


def distribution(template):
    return properties(template, "PortalDistribution")["DistributionConfig"]


FAULTS = {
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
}
