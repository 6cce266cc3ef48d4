"""Rules about what may be in the template at all: what no rule knows of is refused, so that there is no way round the rules."""

from .template import FUNCTION, is_intrinsic

KEPT = {"DeletionPolicy", "UpdateReplacePolicy"}
# Type → the properties that it may have, and what may stand beside them. Mappings of queues, permissions to invoke and routes are
# written by SAM, from the functions' events only; a URL of a function, CORS, a stream or a replica of a table would each be a way round.
KNOWN = {
    "AWS::Serverless::HttpApi": ({"StageName", "FailOnWarnings", "DefaultRouteSettings", "AccessLogSettings"}, set()),
    FUNCTION: ({"CodeUri", "Role", "ReservedConcurrentExecutions", "Timeout", "VpcConfig", "EventInvokeConfig", "Environment", "Events"}, {"Metadata"}),
    "AWS::IAM::Role": ({"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"}, set()),
    "AWS::IAM::ManagedPolicy": ({"Description", "PolicyDocument"}, {"Condition"}),
    "AWS::Logs::LogGroup": ({"LogGroupName", "RetentionInDays", "KmsKeyId"}, KEPT),
    "AWS::KMS::Key": ({"Description", "EnableKeyRotation", "KeyPolicy"}, KEPT),
    "AWS::DynamoDB::Table": ({"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "TimeToLiveSpecification",
                              "PointInTimeRecoverySpecification", "SSESpecification", "DeletionProtectionEnabled"}, KEPT),
    "AWS::SecretsManager::Secret": ({"Description", "KmsKeyId", "GenerateSecretString"}, KEPT),
    "AWS::SQS::Queue": ({"VisibilityTimeout", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "KmsMasterKeyId",
                         "KmsDataKeyReusePeriodSeconds", "RedrivePolicy"}, KEPT),
    "AWS::SQS::QueuePolicy": ({"Queues", "PolicyDocument"}, set()),
    "AWS::S3::Bucket": ({"BucketEncryption", "OwnershipControls", "PublicAccessBlockConfiguration", "VersioningConfiguration",
                         "LifecycleConfiguration"}, KEPT),
    "AWS::S3::BucketPolicy": ({"Bucket", "PolicyDocument"}, set()),
    "AWS::CloudFront::OriginAccessControl": ({"OriginAccessControlConfig"}, set()),
    "AWS::CloudFront::ResponseHeadersPolicy": ({"ResponseHeadersPolicyConfig"}, set()),
    "AWS::CloudFront::Distribution": ({"DistributionConfig"}, set()),
    "AWS::CloudWatch::Alarm": ({"AlarmDescription", "Namespace", "MetricName", "Dimensions", "Metrics", "Statistic", "ExtendedStatistic",
                                "Period", "ComparisonOperator", "Threshold", "EvaluationPeriods", "DatapointsToAlarm", "TreatMissingData",
                                "AlarmActions", "OKActions"}, set()),
    "AWS::CloudFront::Function": ({"Name", "AutoPublish", "FunctionConfig", "FunctionCode"}, set()),
    "AWS::CloudWatch::Dashboard": ({"DashboardName", "DashboardBody"}, set()),
}
EVENTS = {
    "HttpApi": {"ApiId", "Method", "Path"},
    "SQS": {"Queue", "BatchSize", "FunctionResponseTypes", "ScalingConfig"},
    "Schedule": {"Schedule", "Input"},
}
SECTIONS = {"AWSTemplateFormatVersion", "Transform", "Description", "Parameters", "Rules", "Conditions", "Globals", "Resources", "Outputs"}
SHARED = {"Runtime", "Handler", "Architectures", "MemorySize", "Timeout", "Tracing", "LoggingConfig", "Environment"}
# What each condition asks whether it is given, and the value that says no. One that nothing uses any more is a finding too.
GIVEN = {
    "InVpc": ({"Fn::Join": ["", {"Ref": "VpcSubnetIds"}]}, ""),
    "ReservesApi": ({"Ref": "ApiReservedConcurrency"}, "0"),
    "ReservesPoller": ({"Ref": "PollerReservedConcurrency"}, "0"),
    "HasPortalCertificate": ({"Ref": "PortalCertificateArn"}, ""),
    "HasEdgeSecretVersion": ({"Ref": "EdgeSecretVersion"}, ""),
    "HasPortalWebAcl": ({"Ref": "PortalWebAclArn"}, ""),
    "HasAlarmTopic": ({"Ref": "AlarmTopicArn"}, ""),
}
# Resources that exist only under a condition.
CONDITIONAL = {"NetworkPolicy": "InVpc"}
NOTHING = {"Ref": "AWS::NoValue"}


def nodes(value):
    """A value and everything inside it."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def only_what_rules_know(template):
    for name, resource in template.resources.items():
        if resource.get("Type") not in KNOWN:
            yield f"{name}: no rule knows {resource.get('Type')}"
            continue
        properties, beside = KNOWN[resource["Type"]]
        for one in sorted(set(resource.get("Properties", {})) - properties):
            yield f"{name}: no rule knows its {one}"
        for one in sorted(set(resource) - beside - {"Type", "Properties"}):
            yield f"{name}: no rule knows {one} beside its properties"
        if resource.get("Condition") != CONDITIONAL.get(name):
            yield f"{name} exists under the condition {resource.get('Condition')}"


def only_events_that_rules_know(template):
    for name, function in template.functions().items():
        for event_name, event in function.get("Events", {}).items():
            for one in sorted(set(event.get("Properties", {})) - EVENTS.get(event.get("Type"), set())):
                yield f"{name} {event_name}: no rule knows {one} of {event.get('Type')}"
            if event.get("Type") not in EVENTS:
                yield f"{name} {event_name}: no rule knows {event.get('Type')}"


def only_sections_that_rules_know(template):
    for one in sorted(set(template.body) - SECTIONS):
        yield f"no rule knows the section {one}"
    for one in sorted(set(template.body.get("Globals", {})) - {"Function"}):
        yield f"no rule knows Globals of {one}"
    for one in sorted(set(template.body.get("Globals", {}).get("Function", {})) - SHARED):
        yield f"no rule knows {one} of all functions"
    for name, output in template.body.get("Outputs", {}).items():
        for one in sorted(set(output) - {"Description", "Value"}):
            yield f"no rule knows {one} of the output {name}"


def no_macros(template):
    """A macro may turn a template into anything after it was judged."""
    if template.body.get("Transform") != "AWS::Serverless-2016-10-31":
        yield f"{template.body.get('Transform')} is not SAM alone"
    for node in nodes(template.body):
        for key in node if isinstance(node, dict) else ():
            if key in ("Fn::Transform", "Fn::ImportValue") or key.startswith("Fn::ForEach"):
                yield f"{key} brings in what is not in the template"


def conditions_ask_what_is_given(template):
    own = template.body.get("Conditions", {})
    for name in sorted(set(own) | set(GIVEN)):
        value, none = GIVEN.get(name, (None, None))
        if own.get(name) != {"Fn::Not": [{"Fn::Equals": [value, none]}]}:
            yield f"{name} does not ask whether its parameter is given"
    for node in nodes(template.body):
        if is_intrinsic(node) and "Fn::If" in node:
            condition, then, _ = node["Fn::If"]
            if condition not in GIVEN or then == NOTHING:
                yield f"If {condition} turns round what it asks"


RULES = [only_what_rules_know, only_events_that_rules_know, only_sections_that_rules_know, no_macros, conditions_ask_what_is_given]
