"""Adapts an expanded template to what the emulator of AWS lacks, and lists each change."""

import copy
import re


def as_the_emulator_takes_it(expanded, endpoint):
    """Returns (an adapted copy of the template, reason → logical ids)."""
    template, told = copy.deepcopy(expanded), {}
    for change in (alarms_on_one_metric, routes_in_place_of_a_description, numbers_in_place_of_parameters, aliases_that_move_at_once,
                   time_for_unoptimized_programs, addresses_that_lead_to_it):
        told[" ".join(change.__doc__.split())] = sorted(change(template, endpoint))
    return template, told


def alarms_on_one_metric(template, _):
    """Its alarms support only one metric without expressions: an alarm on several reads the first."""
    for name, resource in template["Resources"].items():
        metrics = resource["Properties"].pop("Metrics", None) if resource["Type"] == "AWS::CloudWatch::Alarm" else None
        if metrics:
            first = next(one["MetricStat"] for one in metrics if "MetricStat" in one)
            resource["Properties"] |= first["Metric"] | {"Period": first["Period"], "Statistic": first["Stat"]}
            yield name


def routes_in_place_of_a_description(template, _):
    """It creates no routes from an API's description (Body): each becomes its own route and integration."""
    resources = template["Resources"]
    for name, resource in list(resources.items()):
        if resource["Type"] != "AWS::ApiGatewayV2::Api":
            continue
        described = resource["Properties"].pop("Body")
        del resource["Properties"]["FailOnWarnings"]
        resource["Properties"] |= {"Name": described["info"]["title"], "ProtocolType": "HTTP"}
        yield name
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                integration = operation["x-amazon-apigateway-integration"]
                made = re.sub(r"\W", "", f"{name}{method}{path}".title())
                function = re.search(r"functions/(\$\{\w+(?:\.Arn)?\})/", integration["uri"]["Fn::Sub"])[1]
                resources[f"{made}Integration"] = {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
                    "ApiId": {"Ref": name}, "IntegrationType": "AWS_PROXY", "PayloadFormatVersion": integration["payloadFormatVersion"],
                    "IntegrationUri": {"Fn::Sub": function}}}
                resources[f"{made}Route"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
                    "ApiId": {"Ref": name}, "RouteKey": "$default" if path == "/$default" else f"{method.upper()} {path}",
                    "Target": {"Fn::Sub": f"integrations/${{{made}Integration}}"}}}


def numbers_in_place_of_parameters(template, _):
    """It compares a parameter's text with a number (MaximumConcurrency) and then reads no queue: the parameter's default is inserted as a number."""
    for name, resource in template["Resources"].items():
        scaling = resource["Properties"].get("ScalingConfig")
        if scaling:
            scaling["MaximumConcurrency"] = template["Parameters"][scaling["MaximumConcurrency"]["Ref"]]["Default"]
            yield name


def aliases_that_move_at_once(template, _):
    """It has no CodeDeploy: aliases move immediately, whatever TrafficShifting says."""
    resources = template["Resources"]
    for name, resource in list(resources.items()):
        if resource["Type"].startswith("AWS::CodeDeploy::") or name == "CodeDeployServiceRole":
            del resources[name]
            yield name
        resource.pop("UpdatePolicy", None)


def time_for_unoptimized_programs(template, _):
    """Its functions are programs of a test build that start again for each call, beside other tests: each has at least two minutes."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Timeout"] = max(resource["Properties"].get("Timeout", 3), 120)
            yield name


def addresses_that_lead_to_it(template, endpoint):
    """Its API is at a path of its own address, not at a host of AWS."""
    template["Outputs"]["ApiEndpointUrl"]["Value"] = {"Fn::Sub": f"{endpoint}/_aws/execute-api/${{Api}}/$default"}
    yield "ApiEndpointUrl"
