"""Faults for the rules in parameters.py: what is broken, and what the finding must name."""


def parameter(template, name):
    return template.body["Parameters"][name]


FAULTS = {
    "defaults_are_safe": [
        (lambda t: parameter(t, "PollerReservedConcurrency").update(Default=0), "PollerReservedConcurrency is 0"),
        (lambda t: parameter(t, "AlarmTopicArn").pop("Default"), "AlarmTopicArn is None"),
        (lambda t: t.body["Parameters"].update(New={"Type": "String", "Default": "x"}), "New is 'x'"),
        (lambda t: parameter(t, "Architecture").pop("AllowedValues"), "Architecture takes"),
        (lambda t: parameter(t, "ApiReservedConcurrency").pop("MinValue"), "ApiReservedConcurrency has no least"),
    ],
    "patterns_refuse_what_is_wrong": [
        (lambda t: parameter(t, "PortalOrigin").pop("AllowedPattern"), "PortalOrigin takes '*'"),
        (lambda t: parameter(t, "PortalOrigin").update(AllowedPattern="^https?://.*$"), "takes 'http://portal"),
        (lambda t: parameter(t, "PortalCertificateArn").update(AllowedPattern="^arn:.*$"), "PortalCertificateArn does not take ''"),
    ],
    "half_a_setting_is_refused": [
        (lambda t: t.body["Rules"].pop("VpcIsWhole"), "VpcSubnetIds alone is taken"),
        (lambda t: t.body.pop("Rules"), "PortalCertificateArn alone is taken"),
        (lambda t: t.body["Rules"]["CertificateHasItsHost"].pop("RuleCondition"), "nothing alone is refused"),
    ],
}
