"""Faults for the rules in distribution.py: what is broken, and what the finding must name."""

from .plant import properties


def config(template):
    return properties(template, "PortalDistribution")["DistributionConfig"]


FAULTS = {
    "leads_to_our_own": [
        (lambda t: config(t)["Origins"][1].update(DomainName="api.example.com"), "does not reach api"),
        (lambda t: config(t)["Origins"][1]["CustomOriginConfig"].update(OriginProtocolPolicy="http-only"), "does not reach api"),
        (lambda t: config(t)["Origins"].append({"Id": "other", "DomainName": "example.com"}), "does not reach other"),
        (lambda t: config(t)["CacheBehaviors"].insert(0, {"PathPattern": "/v1/portal/*", "TargetOriginId": "portal"}), "leads elsewhere"),
        (lambda t: config(t)["CacheBehaviors"][0].update(OriginRequestPolicyId="216adef6-5c7f-47e4-b989-5492eafa07d3"), "whole calls"),
        (lambda t: config(t)["CacheBehaviors"][0].pop("OriginRequestPolicyId"), "whole calls"),
        (lambda t: config(t)["CacheBehaviors"][0].update(RealtimeLogConfigArn="arn"), "no rule knows RealtimeLogConfigArn"),
        (lambda t: config(t)["DefaultCacheBehavior"].update(FunctionAssociations=config(t)["CacheBehaviors"][0]["FunctionAssociations"]), "* has another function"),
        (lambda t: config(t)["CacheBehaviors"][0].pop("FunctionAssociations"), "/v1/* has another function"),
        (lambda t: config(t)["Origins"][1]["OriginCustomHeaders"].append({"HeaderName": "x-colour", "HeaderValue": "red"}), "does not reach api"),
        (lambda t: config(t)["DefaultCacheBehavior"].update(LambdaFunctionAssociations=[]), "no rule knows LambdaFunctionAssociations"),
        (lambda t: config(t)["DefaultCacheBehavior"].update(AllowedMethods=["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]), "takes"),
        (lambda t: properties(t, "PortalOriginAccess")["OriginAccessControlConfig"].update(SigningBehavior="never"), "does not sign"),
    ],
    "guarded_at_the_edge": [
        (lambda t: config(t)["ViewerCertificate"]["Fn::If"][1].update(MinimumProtocolVersion="TLSv1"), "older TLS"),
        (lambda t: config(t).update(Aliases=["example.com"]), "another name"),
        (lambda t: config(t).pop("WebACLId"), "web ACL"),
        (lambda t: config(t).update(Enabled=False), "does not serve"),
        (lambda t: config(t).update(CustomErrorResponses=[]), "no rule knows CustomErrorResponses"),
    ],
}
