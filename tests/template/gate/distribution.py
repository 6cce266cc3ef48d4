"""Rules about the portal's distribution: it leads to our bucket and our API and nowhere else, and whole calls reach the API."""

from .secrets import SHOWN_BY_THE_DISTRIBUTION

NOTHING = {"Ref": "AWS::NoValue"}
CERTIFICATE = {"Fn::If": [
    "HasPortalCertificate",
    {"AcmCertificateArn": {"Ref": "PortalCertificateArn"}, "MinimumProtocolVersion": "TLSv1.2_2021", "SslSupportMethod": "sni-only"},
    {"CloudFrontDefaultCertificate": True},
]}
HOST = {"Fn::If": ["HasPortalCertificate", [{"Fn::Select": [1, {"Fn::Split": ["//", {"Ref": "PortalOrigin"}]}]}], NOTHING]}
ORIGINS = {
    "portal": {"DomainName": {"Fn::GetAtt": ["PortalBucket", "RegionalDomainName"]}, "S3OriginConfig": {"OriginAccessIdentity": ""},
               "OriginAccessControlId": {"Fn::GetAtt": ["PortalOriginAccess", "Id"]}},
    "api": {"DomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
            "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]},
            "OriginCustomHeaders": [{"HeaderName": "x-officepro-edge-secret", "HeaderValue": {"Fn::Sub": SHOWN_BY_THE_DISTRIBUTION}}]},
}
# AWS's own AllViewerExceptHostHeader.
WHOLE_CALLS = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
# Behaviour → what runs at the edge.
AT_THE_EDGE = {"*": [], "/v1/*": [{"EventType": "viewer-request", "FunctionARN": {"Fn::GetAtt": ["ViewerAddress", "FunctionARN"]}}]}
METHODS = {"portal": {"GET", "HEAD"}, "api": {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}}
BEHAVIOUR = {"PathPattern", "TargetOriginId", "ViewerProtocolPolicy", "AllowedMethods", "Compress", "CachePolicyId", "OriginRequestPolicyId",
             "ResponseHeadersPolicyId", "FunctionAssociations"}
KNOWN = {"Comment", "Enabled", "HttpVersion", "IPV6Enabled", "PriceClass", "DefaultRootObject", "Aliases", "ViewerCertificate", "WebACLId",
         "Origins", "DefaultCacheBehavior", "CacheBehaviors"}


def distributions(template):
    for name, distribution in template.of_type("AWS::CloudFront::Distribution").items():
        yield name, distribution["DistributionConfig"]


def leads_to_our_own(template):
    for name, config in distributions(template):
        origins = {one.get("Id"): {key: value for key, value in one.items() if key != "Id"} for one in config.get("Origins", [])}
        for origin in sorted(set(origins) | set(ORIGINS), key=str):
            if origins.get(origin) != ORIGINS.get(origin):
                yield f"{name} does not reach {origin} as it should"
        behaviours = [("*", config.get("DefaultCacheBehavior", {})), *((one.get("PathPattern"), one) for one in config.get("CacheBehaviors", []))]
        if [(path, one.get("TargetOriginId")) for path, one in behaviours] != [("*", "portal"), ("/v1/*", "api")]:
            yield f"{name} leads elsewhere than /v1/* to the API and all else to the portal"
        for path, one in behaviours:
            if set(one.get("AllowedMethods", [])) != METHODS.get(one.get("TargetOriginId")):
                yield f"{name} {path} takes {one.get('AllowedMethods')}"
            if one.get("FunctionAssociations", []) != AT_THE_EDGE.get(path):
                yield f"{name} {path} has another function at the edge"
            for key in sorted(set(one) - BEHAVIOUR):
                yield f"{name} {path}: no rule knows {key}"
            if one.get("TargetOriginId") == "api" and one.get("OriginRequestPolicyId") != WHOLE_CALLS:
                yield f"{name} {path} does not hand over whole calls"
    for name, access in template.of_type("AWS::CloudFront::OriginAccessControl").items():
        config = access["OriginAccessControlConfig"]
        if (config.get("SigningBehavior"), config.get("SigningProtocol"), config.get("OriginAccessControlOriginType")) != ("always", "sigv4", "s3"):
            yield f"{name} does not sign what it asks of the bucket"


def guarded_at_the_edge(template):
    for name, config in distributions(template):
        for key in sorted(set(config) - KNOWN):
            yield f"{name}: no rule knows {key}"
        if config.get("Enabled") is not True or config.get("DefaultRootObject") != "index.html":
            yield f"{name} does not serve the portal"
        if config.get("ViewerCertificate") != CERTIFICATE or config.get("Aliases") != HOST:
            yield f"{name} answers under another name or by older TLS than it should"
        if config.get("WebACLId") != {"Fn::If": ["HasPortalWebAcl", {"Ref": "PortalWebAclArn"}, NOTHING]}:
            yield f"{name} does not stand behind the web ACL that is given"


RULES = [leads_to_our_own, guarded_at_the_edge]
