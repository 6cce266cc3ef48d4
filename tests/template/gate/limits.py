"""Limits: names that must be unique in the account, and sizes that services reject only while a stack is being created, after all linters.

Sources: the quotas of each service's own documentation (CloudFormation, Lambda, API Gateway, IAM, CloudFront, CloudWatch).
"""

import json
import re

from . import rule
from .template import text

# infra/deploy rejects a longer stack name.
LONGEST_STACK, LONGEST_REGION, ACCOUNT = "s" * 32, "ap-southeast-1", "1" * 12
# Type → (where its name is, its maximum length). These names are unique in the account across all
# regions.
NAMES = {
    "AWS::CloudFront::OriginAccessControl": ("OriginAccessControlConfig/Name", 64),
    "AWS::CloudFront::ResponseHeadersPolicy": ("ResponseHeadersPolicyConfig/Name", 128),
    "AWS::CloudFront::Function": ("Name", 64), "AWS::CloudFront::CachePolicy": ("CachePolicyConfig/Name", 128),
    "AWS::CloudFront::OriginRequestPolicy": ("OriginRequestPolicyConfig/Name", 128), "AWS::CloudWatch::Dashboard": ("DashboardName", 255),
    "AWS::IAM::Role": ("RoleName", 64), "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", 128), "AWS::S3::Bucket": ("BucketName", 63),
}
# Without a name, CloudFormation generates one for these types.
NAMELESS = {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::S3::Bucket"}
# Maximum length of a description by type.
DESCRIPTIONS = {"AWS::CloudWatch::Alarm": ("AlarmDescription", 1024), "AWS::IAM::ManagedPolicy": ("Description", 1000),
                "AWS::SecretsManager::Secret": ("Description", 2048), "AWS::Serverless::Function": ("Description", 256)}
INVOKE = {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "lambda:InvokeFunction"}


def longest(value):
    """Returns a text with the longest possible values of what is unknown before a deployment."""
    known = {"AWS::StackName": LONGEST_STACK, "AWS::Region": LONGEST_REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws-us-gov"}
    return re.sub(r"\$\{([\w:.]+)\}", lambda found: known.get(found[1], f"{LONGEST_STACK}-{found[1]}-{'x' * 13}"), text(value))


def size(policy):
    """Returns the size of a policy as AWS counts it: its characters except white space."""
    def filled(node):
        if isinstance(node, dict) and len(node) == 1 and next(iter(node)) in ("Ref", "Fn::GetAtt", "Fn::Sub"):
            return f"arn:aws:dynamodb:{LONGEST_REGION}:{ACCOUNT}:table/" + longest(node)
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        return [filled(one) for one in node] if isinstance(node, list) else node
    return len(re.sub(r"\s", "", json.dumps(filled(policy))))


@rule
def names_of_the_account_carry_stack_and_region(template):
    for name, resource in template.resources.items():
        path, most = NAMES.get(resource["Type"], (None, 0))
        value = resource.get("Properties", {})
        for step in path.split("/") if path else ():
            value = value.get(step, {})
        if path and not (value == {} and resource["Type"] in NAMELESS):
            if not {"${AWS::StackName}", "${AWS::Region}"} <= set(re.findall(r"\$\{[\w:]+\}", text(value))):
                yield f"{name}: its name conflicts with a second stack, or with one in a second region"
            if len(longest(value)) > most:
                yield f"{name}: its name can have {len(longest(value))} characters; the limit is {most}"


@rule
def policies_fit(template):
    """SAM adds one statement per event to a function's own policy, so the number of routes is limited."""
    events = [(name, f"{event['Method']}{event['Path']}" if "Path" in event else "$default") for name, _, event in template.events("HttpApi")]
    for name in template.functions():
        statements = [INVOKE | {
            "Sid": f"{LONGEST_STACK}-{name}{'x' * 30}Permission-{'x' * 13}",
            "Resource": f"arn:aws:lambda:{LONGEST_REGION}:{ACCOUNT}:function:{LONGEST_STACK[:24]}-{name}-{'x' * 13}:live",
            "Condition": {"ArnLike": {"AWS:SourceArn": f"arn:aws:execute-api:{LONGEST_REGION}:{ACCOUNT}:{'x' * 10}/*/{re.sub('{.*?}', '*', route)}"}},
        } for owner, route in events if owner == name]
        taken = len(json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements}, separators=(",", ":")))
        if taken > 20_480:
            yield f"{name} has {len(statements)} routes: its policy of {taken} bytes is longer than Lambda's 20480"
    for name, policy in template.of_type("AWS::IAM::ManagedPolicy").items():
        if size(policy["PolicyDocument"]) > 6144:
            yield f"{name} has {size(policy['PolicyDocument'])} characters; the limit is 6144"
    for name, role in template.of_type("AWS::IAM::Role").items():
        if sum(size(one["PolicyDocument"]) for one in role.get("Policies", [])) > 10_240 or len(role.get("ManagedPolicyArns", [])) > 10:
            yield f"{name} has more than 10240 characters of policies, or more than 10 policies"


@rule
def everything_fits(template):
    for kind, (key, most) in DESCRIPTIONS.items():
        for name, resource in template.of_type(kind).items():
            if len(longest(resource.get(key, ""))) > most:
                yield f"{name}: {key} has more than {most} characters"
    for section, most in (("Parameters", 200), ("Outputs", 200), ("Mappings", 200)):
        if len(template.body.get(section, {})) > most:
            yield f"there are more than {most} {section}"
    for name, one in template.body.get("Parameters", {}).items():
        if len(one.get("Description", "")) > 4000:
            yield f"{name}: its description has more than 4000 characters"
    if len(list(template.routes())) > 300:
        yield "an API can have at most 300 routes"
    for name, function in template.functions().items():
        taken = sum(len(key) + len(longest(value)) for key, value in template.variables(name).items())
        if taken > 4096:
            yield f"{name}: its environment has {taken} bytes; the limit is 4096"


@rule
def what_sam_makes_of_it_fits(template):
    """Each function's permissions and versions count, too."""
    made = template.expanded()
    if len(made["Resources"]) > 500:
        yield f"a stack can have at most 500 resources, but this one has {len(made['Resources'])}"
    if len(json.dumps(made, separators=(",", ":"))) > 1_000_000:
        yield "a template can have at most a megabyte"
