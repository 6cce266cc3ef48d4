"""Exposure: the template opens no way in or out that no rule checks."""

import json
import re

from . import rule
from .template import FUNCTION, HTTP_API, LOG_GROUP, QUEUE, SECRET, TABLE, nodes
from .wiring import OF_DEPLOYMENTS

TYPES = {
    FUNCTION, HTTP_API, TABLE, QUEUE, SECRET, LOG_GROUP, "AWS::SQS::QueuePolicy", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::KMS::Key",
    "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::CloudFront::Distribution", "AWS::CloudFront::Function",
    "AWS::CloudFront::OriginAccessControl", "AWS::CloudFront::ResponseHeadersPolicy", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard",
    "AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping", "AWS::Logs::MetricFilter",
}
# Resources that depend on a parameter.
OPTIONAL = {"NetworkPolicy", "ApiDomain", "ApiDomainMapping", *OF_DEPLOYMENTS}
EVENTS = {"HttpApi", "SQS", "Schedule"}
# Properties that open a way in or copy data out, and intrinsics that import what is not in the
# template.
FORBIDDEN = {
    "FunctionUrlConfig", "ResourcePolicy", "StreamSpecification", "KinesisStreamSpecification", "ReplicationConfiguration", "ReplicaRegions",
    "CorsConfiguration", "RouteSettings", "FilterCriteria", "Export", "Layers", "EventBridgeEnabled", "NotificationConfiguration",
    "Logging", "RealtimeLogConfigArn", "CustomErrorResponses", "LambdaFunctionAssociations", "AccessControl", "ImportSourceSpecification",
    "Fn::Transform", "Fn::ImportValue",
}
# What an access log may contain. Paths, queries, headers and user agents can contain patients'
# names.
LOGGABLE = {
    "requestId", "requestTimeEpoch", "routeKey", "status", "responseLatency", "responseLength", "identity.sourceIp",
    "integrationStatus", "integrationLatency", "integrationErrorMessage",
}


@rule
def only_known_types_and_no_other_way_in(template):
    for name, resource in template.resources.items():
        if resource["Type"] not in TYPES:
            yield f"{name} is of the type {resource['Type']}, which no rule covers"
        # A condition on an alarm or a policy would remove it silently.
        if resource.get("Condition") and name not in OPTIONAL:
            yield f"{name} is created only under the condition {resource['Condition']}"
    for name, function in template.functions().items():
        for event in function.get("Events", {}).values():
            if event["Type"] not in EVENTS or event.get("Properties", {}).get("Enabled", True) is not True:
                yield f"{name} has an event of the type {event['Type']} that is disabled or that no rule covers"
    for node in nodes(template.body):
        for key in sorted(node) if isinstance(node, dict) else ():
            if key in FORBIDDEN or key.startswith("Fn::ForEach"):
                yield f"{key} is not allowed in the template"
    # A macro could change the template arbitrarily after it was checked.
    if template.body.get("Transform") != "AWS::Serverless-2016-10-31" or set(template.body.get("Globals", {})) != {"Function"}:
        yield "the transform is not SAM's alone, or there are Globals that no rule covers"


@rule
def the_api_has_one_stage_and_limits_calls(template):
    for name, api in template.of_type(HTTP_API).items():
        # A named stage would prefix every path that functions receive.
        if api.get("StageName") != "$default" or api.get("FailOnWarnings") is not True:
            yield f"{name} has a named stage, or is deployed despite API Gateway's warnings"
        settings = api.get("DefaultRouteSettings", {})
        for other, mapping in template.of_type("AWS::ApiGatewayV2::ApiMapping").items():
            if (mapping.get("ApiId"), mapping.get("Stage"), mapping.get("ApiMappingKey")) != ({"Ref": name}, {"Ref": f"{name}.Stage"}, None):
                yield f"{other} leads elsewhere than to the root of the API's stage"
        if not settings.get("ThrottlingRateLimit") or not settings.get("ThrottlingBurstLimit"):
            yield f"{name} has no throttling of its own"
    for name, domain in template.of_type("AWS::ApiGatewayV2::DomainName").items():
        (one,) = domain["DomainNameConfigurations"]
        if one != {"CertificateArn": {"Ref": "ApiCertificateArn"}, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}:
            yield f"{name} is not regional with the given certificate and TLS 1.2"


@rule
def the_access_log_names_no_patients(template):
    for name, api in template.of_type(HTTP_API).items():
        settings = api.get("AccessLogSettings", {})
        if settings.get("DestinationArn") != {"Fn::GetAtt": ["ApiAccessLogs", "Arn"]}:
            yield f"{name} has no access log of ours"
        variables = set(re.findall(r"\$([^\"\s]*)", settings.get("Format", "")))
        if unknown := sorted(one for one in variables if one.removeprefix("context.") not in LOGGABLE):
            yield f"{name} logs {unknown}"
        if not {"context.requestId", "context.routeKey", "context.status"} <= variables:
            yield f"{name} does not log which call got which response"
        try:
            json.loads(settings.get("Format", ""))
        except ValueError:
            yield f"{name} has an access log format that is not JSON"


@rule
def parameters_admit_no_foreign_origins(template):
    """Sessions are bound to PortalOrigin, partners use ApiDomainName, and EdgeSecretVersion becomes part of a dynamic reference."""
    for name, good, bad in [
        ("PortalOrigin", ["", "https://portal.example.com", "https://localhost:8443"],
         ["http://portal.example.com", "https://portal.example.com/", "https://a,https://b", "*", "https://*.example.com"]),
        ("ApiDomainName", ["", "api.example.com"], ["https://api.example.com", "api", "api.example.com/v1", "api.example.com:443", "*.example.com"]),
        ("EdgeSecretVersion", ["", "0a1b2c3d-1111-2222-3333-444455556666"], ["x::y", "${Other}", "}}{{resolve:ssm:x"]),
    ]:
        pattern = template.body["Parameters"][name].get("AllowedPattern", ".*")
        for value in good + bad:
            if bool(re.fullmatch(pattern, value)) != (value in good):
                yield f"{name} {'admits' if value in bad else 'rejects'} {value!r}"
