"""Faults for the rules in shapes.py: what is broken, and what the finding must name."""

from .plant import event, properties


def resource(template, kind, **own):
    template.resources["Stray"] = {"Type": kind, "Properties": own}


def turned(value):
    """An If whose branches have changed places."""
    condition, then, otherwise = value["Fn::If"]
    return {"Fn::If": [condition, otherwise, then]}


FAULTS = {
    "only_what_rules_know": [
        (lambda t: resource(t, "AWS::Lambda::EventSourceMapping", FunctionName={"Ref": "WebhookFanoutFunction"}, BatchSize=10000), "EventSourceMapping"),
        (lambda t: resource(t, "AWS::Lambda::Url", AuthType="AWS_IAM", TargetFunctionArn={"Ref": "MeFunction"}), "AWS::Lambda::Url"),
        (lambda t: properties(t, "AdminFunction").update(FunctionUrlConfig={"AuthType": "NONE"}), "AdminFunction: no rule knows its FunctionUrlConfig"),
        (lambda t: properties(t, "AdminFunction").update(FunctionUrlConfig={"AuthType": "AWS_IAM"}), "FunctionUrlConfig"),
        (lambda t: resource(t, "AWS::Lambda::Permission", Action="lambda:InvokeFunction", FunctionName={"Ref": "AdminFunction"}, Principal="*"), "AWS::Lambda::Permission"),
        (lambda t: resource(t, "AWS::Serverless::Connector", Permissions=["Read"]), "AWS::Serverless::Connector"),
        (lambda t: resource(t, "AWS::SecretsManager::ResourcePolicy"), "AWS::SecretsManager::ResourcePolicy"),
        (lambda t: resource(t, "AWS::SNS::TopicPolicy"), "AWS::SNS::TopicPolicy"),
        (lambda t: resource(t, "AWS::IAM::AccessKey", UserName="root"), "AWS::IAM::AccessKey"),
        (lambda t: properties(t, "ControlTable").update(ResourcePolicy={"PolicyDocument": {}}), "ResourcePolicy"),
        (lambda t: properties(t, "ControlTable").update(StreamSpecification={"StreamViewType": "NEW_IMAGE"}), "StreamSpecification"),
        (lambda t: properties(t, "Api").update(CorsConfiguration="'*'"), "CorsConfiguration"),
        (lambda t: properties(t, "Api").update(RouteSettings={"$default": {"ThrottlingRateLimit": 1000000}}), "RouteSettings"),
        (lambda t: t.resources["DeadLettersAlarm"].update(Condition="InVpc"), "DeadLettersAlarm exists under"),
        (lambda t: t.resources["NetworkPolicy"].pop("Condition"), "NetworkPolicy exists under"),
    ],
    "only_events_that_rules_know": [
        (lambda t: properties(t, "MeFunction")["Events"].update(Other={"Type": "Api", "Properties": {}}), "MeFunction Other: no rule knows Api"),
        (lambda t: event(t, "WebhookFanoutFunction", "Events").update(FilterCriteria={"Filters": []}), "FilterCriteria"),
        (lambda t: event(t, "LogPollerFunction", "EveryMinute").update(Enabled=False), "Enabled"),
    ],
    "only_sections_that_rules_know": [
        (lambda t: t.body.update(Mappings={}), "Mappings"),
        (lambda t: t.body["Globals"].update(HttpApi={"CorsConfiguration": "'*'"}), "Globals of HttpApi"),
        (lambda t: t.body["Globals"]["Function"].update(FunctionUrlConfig={"AuthType": "NONE"}), "FunctionUrlConfig"),
        (lambda t: t.body["Outputs"]["DataKeyArn"].update(Export={"Name": "key"}), "Export"),
    ],
    "no_macros": [
        (lambda t: t.body.update(Transform=["AWS::Serverless-2016-10-31", "Ours"]), "SAM alone"),
        (lambda t: properties(t, "MeFunction").update({"Fn::Transform": {"Name": "AWS::Include"}}), "Fn::Transform"),
    ],
    "conditions_ask_what_is_given": [
        (lambda t: t.body["Conditions"].update(HasAlarmTopic=t.body["Conditions"]["HasAlarmTopic"]["Fn::Not"][0]), "HasAlarmTopic"),
        (lambda t: t.body["Conditions"].pop("ReservesApi"), "ReservesApi"),
        (lambda t: properties(t, "DeadLettersAlarm").update(AlarmActions=turned(properties(t, "DeadLettersAlarm")["AlarmActions"])), "If HasAlarmTopic"),
    ],
}
