"""Rules about parameters: a deployment that says nothing is safe, and one that says half is refused."""

import re

# Parameter → its default.
DEFAULTS = {
    "Architecture": "arm64", "LogLevel": "info", "LogRetentionDays": 90, "ApiRateLimit": 1000, "ApiBurstLimit": 2000,
    "ApiReservedConcurrency": 0, "PollerReservedConcurrency": 2, "FanoutMaximumConcurrency": 50, "SlowFanoutMaximumConcurrency": 20,
    "VpcSubnetIds": "", "VpcSecurityGroupIds": "", "PortalOrigin": "", "PortalCertificateArn": "", "EdgeSecretVersion": "", "PortalWebAclArn": "", "AlarmTopicArn": "",
}
# Parameter → what it takes, and what it refuses.
TAKES = {
    "PortalOrigin": (["", "https://portal.example.com", "https://localhost:8443"],
                     ["http://portal.example.com", "https://portal.example.com/", "https://a,https://b", "*", "https://*.example.com"]),
    "PortalCertificateArn": (["", "arn:aws:acm:us-east-1:123456789012:certificate/0a1b-2c"], ["x", "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b-2c"]),
    "EdgeSecretVersion": (["", "0a1b2c3d-1111-2222-3333-444455556666"], ["x::y", "${Other}", "}}{{resolve:ssm:x"]),
}
# What is given together: parameters, and whether the rules let it pass.
TOGETHER = [
    ({}, True), ({"VpcSubnetIds": ["subnet-1"], "VpcSecurityGroupIds": ["sg-1"]}, True),
    ({"VpcSubnetIds": ["subnet-1"]}, False), ({"VpcSecurityGroupIds": ["sg-1"]}, False),
    ({"PortalCertificateArn": "arn", "PortalOrigin": "https://portal"}, True), ({"PortalOrigin": "https://portal"}, True),
    ({"PortalCertificateArn": "arn"}, False),
]


def parameters(template):
    return template.body.get("Parameters", {})


def defaults_are_safe(template):
    own = {name: parameter.get("Default") for name, parameter in parameters(template).items()}
    for name in sorted(set(own) | set(DEFAULTS)):
        if name not in DEFAULTS or own.get(name) != DEFAULTS[name]:
            yield f"{name} is {own.get(name)!r} by default, not {DEFAULTS.get(name)!r}"
    if parameters(template)["Architecture"].get("AllowedValues") != ["arm64", "x86_64"]:
        yield "Architecture takes a processor that Lambda does not have"
    for name, parameter in parameters(template).items():
        if parameter.get("Type") == "Number" and "AllowedValues" not in parameter and parameter.get("MinValue") not in (0, 1, 2):
            yield f"{name} has no least value, or more than its least"


def patterns_refuse_what_is_wrong(template):
    for name, (good, bad) in TAKES.items():
        pattern = parameters(template)[name].get("AllowedPattern", "")
        for value in good:
            if not re.fullmatch(pattern, value):
                yield f"{name} does not take {value!r}"
        for value in bad:
            if not pattern or re.fullmatch(pattern, value):
                yield f"{name} takes {value!r}"


def holds(value, given):
    """What an assertion comes to with the parameters that are given."""
    (function, argument), = value.items() if isinstance(value, dict) else [(None, value)]
    match function:
        case None:
            return argument
        case "Ref":
            return given[argument]
        case "Fn::Join":
            return argument[0].join(holds(argument[1], given))
        case "Fn::Equals":
            return holds(argument[0], given) == holds(argument[1], given)
        case "Fn::Not":
            return not holds(argument[0], given)
        case "Fn::And" | "Fn::Or":
            return (all if function == "Fn::And" else any)(holds(one, given) for one in argument)
    raise ValueError(function)


def half_a_setting_is_refused(template):
    nothing = {name: [] if parameter.get("Type") == "CommaDelimitedList" else "" for name, parameter in parameters(template).items()}
    for given, passes in TOGETHER:
        values = nothing | given
        try:
            kept = all(holds(assertion["Assert"], values) for rule in template.body.get("Rules", {}).values()
                       if holds(rule.get("RuleCondition", True), values) for assertion in rule["Assertions"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            yield f"the rules can't be tried: {error!r}"
            return
        if kept != passes:
            yield f"a deployment with {', '.join(given) or 'nothing'} alone is {'taken' if kept else 'refused'}"


RULES = [defaults_are_safe, patterns_refuse_what_is_wrong, half_a_setting_is_refused]
